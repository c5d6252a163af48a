"""The operator's own HTTP endpoints: `/metrics`, `/livez`, `/readyz`.

Served from the event loop on purpose: a loop that hangs fails its liveness probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from gradient_operator.observability.health import Failure, Health
    from gradient_operator.observability.metrics import Metrics


class ObservabilityServer:
    """`port = await start(8080)`, and `await close()` at the end."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_livez)
        app.router.add_get("/readyz", self._serve_readyz)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, port: int, *, host: str = "0.0.0.0") -> int:  # noqa: S104 - probes
        """Listen on `port` (0: any free one) and return the port that it became.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening and end open connections."""
        await self._runner.cleanup()

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._metrics.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    async def _serve_livez(self, _: web.Request) -> web.Response:
        return self._answer(self._health.live())

    async def _serve_readyz(self, _: web.Request) -> web.Response:
        return self._answer(self._health.ready())

    def _answer(self, failures: list[Failure]) -> web.Response:
        body = {
            "status": "failed" if failures else "ok",
            "role": self._health.role,
            "failed": [{"check": failure.check, "why": failure.why} for failure in failures],
        }
        return web.json_response(body, status=503 if failures else 200)
