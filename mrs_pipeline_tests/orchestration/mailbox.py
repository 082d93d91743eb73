"""An HTTP server on this machine that receives notifications, as a webhook would."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

VARIABLE = "MRS_TEST_MAILBOX"


@dataclass
class Mailbox:
    """What has arrived."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    @property
    def bodies(self) -> list[str]:
        return [message["message"] for message in self.messages]


@contextmanager
def opened(root: Path, *, events: list[str] | None = None) -> Iterator[Mailbox]:
    """A mailbox that the home's `notify.yaml` names."""
    mailbox = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            mailbox.messages.append(json.loads(content))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mailbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    to = {"url_from": VARIABLE} | ({"events": events} if events is not None else {})
    (root / "notify.yaml").write_text(yaml.safe_dump({"to": [to]}))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, f"json://127.0.0.1:{mailbox.port}")
            yield mailbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
