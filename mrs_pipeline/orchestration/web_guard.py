"""What stands before Dagster's web server: only pages of its own, under names of this machine, may use it.

Dagster's server knows no user, takes mutations by GET and looks at no origin, so that any page in the same browser
could launch runs. What a browser says of a request decides here; other programs of this machine say nothing of
themselves and are let in.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_LOCAL: Final = ("localhost", "127.0.0.1")
_FOREIGN: Final = ("cross-site", "same-site")
"""`Sec-Fetch-Site` of pages of another address; another port of this machine is `same-site`."""
_REFUSED: Final = 1008
"""Close code of a WebSocket: policy violation (RFC 6455)."""


class OwnPages:
    """An ASGI program that refuses what other pages ask of another program.

    Args:
        program: the other.
    """

    def __init__(self, program: ASGIApp) -> None:
        self._program = program

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on."""
        refusal = _refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._program(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(_REFUSED, refusal)(scope, receive, send)
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, send)


def guards() -> list[Middleware]:
    """What stands before the web server, the outermost first."""
    return [Middleware(TrustedHostMiddleware, allowed_hosts=list(_LOCAL)), Middleware(OwnPages)]


def _refusal(scope: Scope) -> str | None:
    """Why a request is refused; None where it is not."""
    headers = Headers(scope=scope)
    own = {f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")}
    if "origin" in headers and headers["origin"] not in own:
        return "a page of another address asked for this"
    opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site") in _FOREIGN and not opened:
        return "a page of another address asked for this"
    if scope["type"] == "http" and scope["method"] != "POST" and _asks_graphql(scope):
        return "GraphQL is asked by POST only"
    return None


def _asks_graphql(scope: Scope) -> bool:
    return str(scope["path"]).rstrip("/") == "/graphql" and bool(scope["query_string"])
