"""A registry of images for the nodes of the local cluster: it serves what was loaded, no more.

Nodes ask it in place of every registry there is. So a pod whose policy is to pull always, as it is
for `:latest`, gets its image, and one that names an image that nobody made hears so at once, where
a machine without a way out would wait for time-outs. It only reads, knows no passwords, and listens
on the bridge that nothing outside the machine reaches.

It runs as a program of its own and needs nothing else of this repository.
"""

from __future__ import annotations

import argparse
import json
import shutil
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DIGEST = "sha256:"


def full_name(namespace: str, repository: str, reference: str) -> str:
    """The name of an image as nodes know it."""
    return f"{namespace or 'localhost'}/{repository}:{reference}"


def find_digest(index: Path, *, namespace: str, repository: str, reference: str) -> str:
    """The digest of the manifest that is asked for; empty if nobody made such an image."""
    if reference.startswith(DIGEST):
        return reference
    try:
        known = json.loads(index.read_text())
    except (OSError, ValueError):
        return ""
    return str(known.get(full_name(namespace, repository, reference), ""))


class Handler(BaseHTTPRequestHandler):
    """The part of the registry protocol that is needed to pull."""

    protocol_version = "HTTP/1.1"
    blobs: Path
    index: Path

    def do_HEAD(self) -> None:  # the standard library's spelling
        """Answer without the content."""
        self.answer(with_content=False)

    def do_GET(self) -> None:
        """Answer with the content."""
        self.answer(with_content=True)

    def answer(self, *, with_content: bool) -> None:
        """Serve a manifest or a blob."""
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if parts == ["v2"]:
            self.reply(HTTPStatus.OK, b"{}", with_content=with_content)
            return
        kind, reference = parts[-2] if len(parts) > 1 else "", parts[-1]
        namespace = parse_qs(address.query).get("ns", [""])[0]
        digest = reference if kind == "blobs" else ""
        if kind == "manifests":
            digest = find_digest(
                self.index,
                namespace=namespace,
                repository="/".join(parts[1:-2]),
                reference=reference,
            )
        path = self.blobs / Path(digest.removeprefix(DIGEST)).name
        if not digest.startswith(DIGEST) or not path.is_file():
            code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
            body = json.dumps({"errors": [{"code": code, "message": "not loaded here"}]})
            self.reply(HTTPStatus.NOT_FOUND, body.encode(), with_content=with_content)
            return
        self.send_blob(path, digest, manifest=kind == "manifests", with_content=with_content)

    def send_blob(self, path: Path, digest: str, *, manifest: bool, with_content: bool) -> None:
        """Send a file with its digest."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MANIFEST if manifest else "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if with_content:
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)

    def reply(self, status: HTTPStatus, body: bytes, *, with_content: bool) -> None:
        """Send a short answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_content:
            self.wfile.write(body)


def make_server(address: str, port: int, *, blobs: Path, index: Path) -> ThreadingHTTPServer:
    """A server of the blobs in one folder and the names in one file."""
    handler = type("BoundHandler", (Handler,), {"blobs": blobs, "index": index})
    return ThreadingHTTPServer((address, port), handler)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--blobs", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    options = parser.parse_args()
    make_server(
        options.address, options.port, blobs=options.blobs, index=options.index
    ).serve_forever()


if __name__ == "__main__":
    main()
