"""An object storage that answers, takes what is written, and holds nothing: enough for an operator
that only looks, and sometimes leaves a mark."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Refusing(BaseHTTPRequestHandler):
    """Answers, and has nothing: enough for who only asks whether it is there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_error(403)

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.written.append(self.path)
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        return


class Storage:
    """An address that answers while it is open."""

    def __init__(self):
        self.port = 0
        self.written: list[str] = []
        """The paths of what was written."""
        self.open()

    def open(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), _Refusing)
        self.port = self.server.server_port
        self.server.written = self.written
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
