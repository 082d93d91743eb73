"""Sources behind HTTP, from a server of this machine."""

import gzip
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import inspect_folder
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.remote.mirror import forget

ROWS = "user,item,rating,timestamp\n" + "".join(
    f"u{user},i{(user + step) % 9},{1 + step % 5},2023-0{1 + step}-05\n"
    for user in range(12)
    for step in range(6)
)


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if "secret" in self.path:
            self.send_error(403)
        elif "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"user,item\n")
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Tests say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address, folder) of a server."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_one_packed_file(web: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = web
    (folder / "events.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    found = inspect_folder(f"{address}/events.csv.gz", home_root=tmp_path)
    source = found.settings["source"]
    assert source["path"] == f"{address}/events.csv.gz" and source["interactions"] == "events.csv.gz"
    assert found.settings["name"] == "events"
    assert any("interactions: 72 in events.csv.gz, 12 users" in line for line in found.findings)
    opened = open_source(source_options(source), tmp_path)
    before = opened.files()[0].read_bytes()
    (folder / "events.csv.gz").write_bytes(gzip.compress(ROWS.encode() + b"new,i1,5,2023-05-05\n"))
    forget()
    assert open_source(source_options(source), tmp_path).files()[0].read_bytes() != before


def test_an_archive(web: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = web
    with zipfile.ZipFile(folder / "shop.zip", "w") as archive:
        archive.writestr("shop/interactions.csv", ROWS)
        archive.writestr(
            "shop/items.csv", "item,title\n" + "".join(f"i{item},Thing {item}\n" for item in range(9))
        )
    found = inspect_folder(f"{address}/shop.zip", home_root=tmp_path)
    assert found.settings["source"]["path"] == f"{address}/shop.zip"
    assert any("items: 9, 9 titles" in line for line in found.findings)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.csv", "nothing is at http://127.0.0.1:"),
        ("secret.csv", "access to http://127.0.0.1:.* is denied"),
        ("short.csv", "cannot be reached|changes while it is read"),
        ("", "names no file, and HTTP lists no folders"),
    ],
)
def test_refusals(web: tuple[str, Path], tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        inspect_folder(f"{web[0]}/{name}", home_root=tmp_path)


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        inspect_folder("http://127.0.0.1:9/x.csv", home_root=tmp_path)
