"""A git server over HTTP with names and passwords (`git http-backend`), and an LFS store."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "robot", "t0ken/with+signs"


def git(folder: Path, *arguments: str, **variables: str) -> str:
    """Run git as somebody."""
    environment = os.environ | {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "test"), ("EMAIL", "test@example.org"))
    }
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment | variables,
    ).stdout.strip()


@dataclass
class GitServer:
    """Repositories below `root`; those named private-* ask who is there."""

    root: Path
    address: str = ""
    given: list[tuple[str, str]] = field(default_factory=list)
    """Path and name:password of every request that brought credentials."""
    large: dict[str, bytes] = field(default_factory=dict)
    """Objects of the LFS store by digest."""

    def url(self, name: str) -> str:
        return f"http://{self.address}/{name}.git"

    def make(self, name: str, **files: str) -> Path:
        """Make a repository with one commit; return a clone to work in."""
        work = self.root.parent / f"{self.root.name}-work" / name
        work.mkdir(parents=True)
        git(work, "init", "--quiet", "--initial-branch=main")
        self.commit(work, name, **files)
        return work

    def commit(self, work: Path, message: str, **files: str) -> str:
        """Commit files (`__` stands for a dot) and publish all branches and tags."""
        for key, text in files.items():
            (work / key.replace("__", ".")).write_text(text)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--allow-empty", "--message", message)
        self.publish(work)
        return git(work, "rev-parse", "HEAD")

    def publish(self, work: Path) -> None:
        bare = self.root / f"{work.name}.git"
        if not bare.exists():
            git(self.root.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        git(work, "push", "--quiet", "--force", "--all", str(bare))
        git(work, "push", "--quiet", "--force", "--tags", str(bare))

    def commit_large(self, work: Path, name: str, data: bytes, *, stored: bool = True) -> None:
        """Commit a file in LFS, without the program for it."""
        (work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
        git(work, "add", ".gitattributes")
        made = subprocess.run(
            ["git", "-C", str(work), "hash-object", "-w", "--stdin"],
            input=self.pointer(data, stored=stored).encode(),
            capture_output=True,
            check=True,
        )
        entry = f"100644,{made.stdout.decode().strip()},{name}"
        git(work, "update-index", "--add", "--cacheinfo", entry)
        git(work, "commit", "--quiet", "--message", "large")
        self.publish(work)

    def add_submodules(self, work: Path, *entries: tuple[str, str, str]) -> None:
        """Commit submodules (name, URL, commit) without asking whether anybody could fetch them."""
        (work / ".gitmodules").write_text(
            "".join(
                f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n'
                for name, url, _ in entries
            )
        )
        git(work, "add", ".gitmodules")
        for name, _, commit in entries:
            git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},{name}")
        git(work, "commit", "--quiet", "--message", "submodules")
        self.publish(work)

    def pointer(self, data: bytes, *, stored: bool = True) -> str:
        """The pointer of a file in LFS, whose content the store has, or has not."""
        digest = hashlib.sha256(data).hexdigest()
        if stored:
            self.large[digest] = data
        version = "https://git-lfs.github.com/spec/v1"
        return f"version {version}\noid sha256:{digest}\nsize {len(data)}\n"


class _Handler(BaseHTTPRequestHandler):
    server_: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        header = self.headers.get("Authorization", "")
        who = base64.b64decode(header.removeprefix("Basic ")).decode() if header else ""
        if who:
            self.server_.given.append((parts.path, who))
        private = parts.path.startswith("/private-")
        if private and who not in {f"{USER}:{PASSWORD}", f"git:{PASSWORD}", f"{PASSWORD}:"}:
            self.answer(401, b"", **{"WWW-Authenticate": 'Basic realm="git"'})
        elif "/info/lfs/objects/batch" in parts.path:
            self.batch()
        elif parts.path.startswith("/objects/"):
            data = self.server_.large.get(parts.path.removeprefix("/objects/"))
            self.answer(404 if data is None else 200, data or b"")
        else:
            self.backend(parts.path, parts.query)

    do_POST = do_GET  # noqa: N815  # the name that http.server wants

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def batch(self) -> None:
        objects = []
        for item in json.loads(self.body())["objects"]:
            if item["oid"] in self.server_.large:
                href = f"http://{self.server_.address}/objects/{item['oid']}"
                objects.append({**item, "actions": {"download": {"href": href}}})
            else:
                error = {"code": 404, "message": "over its quota"}
                objects.append({**item, "error": error})
        text = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self.answer(200, text, **{"Content-Type": "application/vnd.git-lfs+json"})

    def backend(self, path: str, query: str) -> None:
        body = self.body()
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env=os.environ
            | {
                "GIT_PROJECT_ROOT": str(self.server_.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        self.answer(status, content, **headers)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        if status == 401:
            self.body()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(root: Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[GitServer]:
    """Serve for the length of a test; `host` is also what others call it."""
    root.mkdir()
    made = GitServer(root)
    handler = type("Served", (_Handler,), {"server_": made})
    with ThreadingHTTPServer(("0.0.0.0" if port else host, port), handler) as http:
        http.daemon_threads = True
        made.address = f"{host}:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            http.shutdown()
            thread.join()
