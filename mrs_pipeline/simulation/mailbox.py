"""Somebody who is told: an HTTP server on this machine that receives a home's notifications, as a webhook would."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

VARIABLE: Final = "MRS_SIMULATION_MAILBOX"
"""Names the address to `notify.yaml`."""
_MOST_BYTES: Final = 1 << 20
_LOCALHOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One message as it arrived: when (seconds since 1970), its title and its text."""

    moment: float
    title: str
    text: str


@dataclass
class Mailbox:
    """What has arrived."""

    messages: list[Received] = field(default_factory=list)

    def since(self, moment: float) -> list[Received]:
        """What has arrived since a moment."""
        return [message for message in self.messages if message.moment >= moment]


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """A mailbox whose address is in the environment while the block lasts; it listens on localhost only."""
    mailbox = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            content = json.loads(self.rfile.read(min(length, _MOST_BYTES)))
            mailbox.messages.append(Received(time.time(), str(content["title"]), str(content["message"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nothing is logged."""

    server = ThreadingHTTPServer((_LOCALHOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = f"json://{_LOCALHOST}:{server.server_address[1]}"
    try:
        yield mailbox
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        server.shutdown()
        server.server_close()
        thread.join()
