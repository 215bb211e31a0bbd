"""What a process that is no API shows over HTTP: `/metrics`, `/livez`, `/readyz`; and who may read any `/metrics`."""

import hmac
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.serving import QuietServer

CHALLENGE = 'Bearer realm="schedule-service"'
"""What `WWW-Authenticate` says where credentials are missing."""
REFUSAL = "Send METRICS_TOKEN as `Authorization: Bearer …`."
_SCRAPE_SECONDS = 1
"""How long a process that ends waits for whoever reads its metrics: one may never take its answer."""


def may_read_metrics(request: Request, token: str) -> bool:
    """Whether a request has METRICS_TOKEN as its bearer token, or there is none."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    # A header is bytes, and those of a token are UTF-8; Starlette reads them as Latin-1.
    said = sent.strip().encode("latin-1")
    return not token or (scheme.lower() == "bearer" and hmac.compare_digest(said, token.encode()))


def scrape_server(
    show: Callable[[], Awaitable[tuple[bytes, str]]],
    ready: Callable[[], Awaitable[tuple[bool, str]]],
    *,
    token: str,
    socket: str = "",
) -> QuietServer:
    """A server on what it is told to serve, or on a Unix socket.

    `show` answers with the exposition and its content type, `ready` whether the process claims, and in which words.
    """

    async def metrics(request: Request) -> Response:
        if not may_read_metrics(request, token):
            return PlainTextResponse(f"{REFUSAL}\n", 401, {"WWW-Authenticate": CHALLENGE})
        body, content_type = await show()
        return Response(body, media_type=content_type)

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def claims(_request: Request) -> Response:
        yes, words = await ready()
        return PlainTextResponse(words, 200 if yes else 503)

    app = Starlette(routes=[Route("/metrics", metrics), Route("/livez", live), Route("/readyz", claims)])
    config = uvicorn.Config(
        app,
        uds=socket or None,
        loop="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_SCRAPE_SECONDS,
    )
    return QuietServer(config)
