"""An S3 server that says what a test wants: keys no real server would take, and trouble."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class FakeS3:
    """The objects of the bucket `b`; a key ending in / is a folder's marker."""

    objects: dict[str, bytes] = field(default_factory=dict)
    trouble: list[tuple[int, str]] = field(default_factory=list)
    """Answers (status, code) that come before anything else, each once."""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    etag: str = '"one"'
    cut: set[str] = field(default_factory=set)
    """Keys whose next answer ends early."""
    endpoint: str = ""


def listing(fake: FakeS3, query: dict[str, list[str]]) -> bytes:
    prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
    found = [key for key in sorted(fake.objects) if key.startswith(prefix) and key > after]
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(fake.etag)}</ETag><Size>{len(fake.objects[key])}</Size></Contents>"
        for key in found
    )
    return f"<ListBucketResult>{items}</ListBucketResult>".encode()


class Handler(BaseHTTPRequestHandler):
    fake: FakeS3
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        key = unquote(parts.path).removeprefix("/b").removeprefix("/")
        fake = self.fake
        fake.seen.append((self.command, key, dict(self.headers)))
        if fake.trouble:
            status, code = fake.trouble.pop(0)
            self.answer(status, f"<?xml?><Error><Code>{code}</Code></Error>".encode())
        elif "list-type" in query:
            self.answer(200, listing(fake, query))
        elif key not in fake.objects:
            self.answer(404, b"<?xml?><Error><Code>NoSuchKey</Code></Error>")
        elif self.headers.get("If-Match", fake.etag) != fake.etag:
            self.answer(412, b"")
        else:
            self.send_object(key)

    do_HEAD = do_GET  # noqa: N815  # the name that http.server wants

    def send_object(self, key: str) -> None:
        data, span = self.fake.objects[key], self.headers.get("Range")
        if span is None:
            self.answer(200, data, cut=key)
            return
        first, last = (int(part) for part in span.removeprefix("bytes=").split("-"))
        place = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
        self.answer(206, data[first : last + 1], cut=key, **{"Content-Range": place})

    def answer(self, status: int, body: bytes, *, cut: str = "", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.fake.etag)
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut in self.fake.cut:
            self.fake.cut.discard(cut)
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[FakeS3]:
    """Run the server for the length of a test."""
    fake = FakeS3()
    handler = type("Served", (Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        fake.endpoint = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield fake
        finally:
            http.shutdown()
            thread.join()
