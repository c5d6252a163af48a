"""An object storage that answers, and holds nothing: enough for an operator that only looks."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Refusing(BaseHTTPRequestHandler):
    """Answers, and has nothing: enough for who only asks whether it is there."""

    def do_GET(self):
        self.send_error(403)

    def log_message(self, *_):
        return


class Storage:
    """An address that answers while it is open."""

    def __init__(self):
        self.port = 0
        self.open()

    def open(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), _Refusing)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def provider(self, folder: Path) -> dict[str, Any]:
        """The operator's configuration for it; its keys are put into the folder."""
        for key in ("accessKeyId", "secretAccessKey"):
            (folder / key).write_text("made up")
        return {
            "endpoint": f"http://127.0.0.1:{self.port}",
            "bucket": "gradient",
            "credentialsDirectory": str(folder),
        }
