"""A token service for tests: trades tokens that it knows for keys that it was given.

It speaks the part of the AWS STS API that `AssumeRoleWithWebIdentity` is, and remembers who asked.
"""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>{session}</SessionToken><Expiration>{ends}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
REFUSAL = """<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>
<Message>{message}</Message></Error></ErrorResponse>"""


@dataclass
class TokenService:
    """A running service; what it does may be changed while it runs."""

    access: str = "access"
    secret: str = "secret"
    session: str = ""
    role: str = "arn:aws:iam::123456789012:role/data"
    tokens: set[str] = field(default_factory=lambda: {"token"})
    longest: int = 3_600
    """Seconds that the role allows."""
    refusal: tuple[str, str] = ("InvalidIdentityToken", "not &lt;ours&gt;")
    """Code and message for other tokens and roles."""
    status: int = 200
    """Answer everything so, unless it is 200."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
                status, text = service.answer({name: values[0] for name, values in form.items()})
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, form: dict[str, str]) -> tuple[int, str]:
        self.asked.append(form)
        assert form["Action"] == "AssumeRoleWithWebIdentity"
        if self.status != 200:
            return self.status, "in trouble"
        if form["WebIdentityToken"] not in self.tokens or form["RoleArn"] != self.role:
            code, message = self.refusal
            return 400, REFUSAL.format(code=code, message=message)
        seconds = int(form["DurationSeconds"])
        if seconds > self.longest:
            message = "The requested DurationSeconds exceeds the MaxSessionDuration of this role."
            return 400, REFUSAL.format(code="ValidationError", message=message)
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        return 200, ANSWER.format(
            access=self.access,
            secret=self.secret,
            session=self.session,
            ends=ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
