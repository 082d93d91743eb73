"""What stands before every request: bounds on its size, the token, the host it was sent to."""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Program = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/", "/health", "/page.js", "/page.css"})
"""Paths that tell nothing of anybody and need no token."""
LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")


class Guard:
    """An ASGI program that refuses requests before they reach another.

    Args:
        program: the other.
        max_bytes: of a request's body, counted while it arrives.
        token: that must come along as `Authorization: Bearer ...`; None for none.
        local: whether only requests to names of this machine are answered, so that no page in a browser can reach a
            service on localhost under another name (DNS rebinding).
    """

    def __init__(self, program: Program, *, max_bytes: int, token: str | None, local: bool) -> None:
        self._program, self._max_bytes = program, max_bytes
        self._token, self._local = token, local

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse, or hand on."""
        if scope["type"] != "http":
            await self._program(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._refusal(scope["path"], headers)
        if refusal:
            await _answer(send, *refusal)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise HTTPException(413, self._too_large())
            return message

        async def told(message: Message) -> None:
            if taken <= self._max_bytes:
                await send(message)
            elif message["type"] == "http.response.start":  # whatever the program makes of a body cut short
                await _answer(send, 413, self._too_large())

        await self._program(scope, counted, told)

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._local and name not in LOCAL:
            return 400, "this service answers on localhost only"
        origin = headers.get("origin")
        if origin and origin.partition("://")[2] != host:
            return 403, "requests from other pages are not answered"
        if self._token and path not in OPEN:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode("utf-8"), self._token.encode("utf-8")):
                return 401, "send the token of this service as `Authorization: Bearer TOKEN`"
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "the header content-length is no number"
        return (413, self._too_large()) if int(length) > self._max_bytes else None

    def _too_large(self) -> str:
        return f"a request may have {self._max_bytes / 1e6:g} MB at most"


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
