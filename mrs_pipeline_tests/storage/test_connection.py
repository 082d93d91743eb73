"""Connections write nothing of their own into the standard output, and all come from one place."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mrs_pipeline
from mrs_pipeline.database import connect
from mrs_pipeline.storage.catalogue import refresh
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table

PACKAGE = Path(mrs_pipeline.__file__).parent

EAGER = """
import sys, duckdb
from pathlib import Path
plain = duckdb.connect

class Eager:
    def __init__(self, con):
        self.con = con

    def __getattr__(self, name):
        method = getattr(self.con, name)

        def ask(text, *rest):
            if not text.startswith("SET"):
                self.con.execute("SET progress_bar_time = 1")
            return method(text, *rest)

        return ask if name in ("execute", "sql") else method

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.con.close()

duckdb.connect = lambda *args, **options: Eager(plain(*args, **options))
"""
"""The worst case: whatever takes a millisecond gets a bar, and `python -c` passes for a person at a terminal."""

LONG = "SELECT count(*) FROM range(60_000_000) AS t(i) WHERE hash(i) % 7 = 8"
BARE = "print(duckdb.connect().execute({sql!r}).fetchone()[0])"
PLAIN = """
from mrs_pipeline.database import connect
with connect() as con:
    print(con.sql({sql!r}).pl().item())
"""
LAKE = """
from mrs_pipeline.storage.lake import Lake
with Lake(Path({home!r}) / "lake").connect() as con:
    print(con.execute({sql!r}).fetchone()[0])
"""
CATALOGUE = """
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
print(query(Home(Path({home!r})), {sql!r}).item())
"""
COMMAND = """
from mrs_pipeline.cli.app import main
sys.argv = ["mrs", "query", "--csv", {sql!r}]
main()
"""


@pytest.fixture
def kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    with Lake(home.lake).connect() as con:
        table = Table.of("core", "items", dataset="d", window="full")
        Lake(home.lake).write(con, table, "SELECT 1 AS value", Provenance("x"))
    refresh(home)
    (home.root / "dg.toml").touch()
    monkeypatch.setenv("MRS_HOME", str(home.root))
    monkeypatch.setenv("MRS_DUCKDB_THREADS", "2")  # the thread that waits draws the bar
    return home


def _printed(home: Home, script: str) -> str:
    code = EAGER + script.format(sql=LONG, home=str(home.root))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_worst_case_is_one(kept: Home) -> None:
    assert "%" in _printed(kept, BARE)


@pytest.mark.parametrize(
    ("script", "answer"),
    [(PLAIN, "0\n"), (LAKE, "0\n"), (CATALOGUE, "0\n"), (COMMAND, "count_star()\n0\n")],
    ids=["plain", "lake", "catalogue", "command"],
)
def test_a_long_query_prints_its_answer_and_nothing_else(kept: Home, script: str, answer: str) -> None:
    assert _printed(kept, script) == answer


def test_connections_are_opened_in_one_place() -> None:
    opened = re.compile(
        r"duckdb\.connect\(|from duckdb import .*\bconnect\b|duckdb\.(sql|query|execute|read_)"
    )
    found = [path for path in PACKAGE.rglob("*.py") if opened.search(path.read_text())]
    assert [path.relative_to(PACKAGE).as_posix() for path in found] == ["database.py"]


def test_times_are_in_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with connect() as con:
        assert con.execute("SELECT TIMESTAMPTZ '2024-01-01 00:00:00'::VARCHAR").fetchone() == (
            "2024-01-01 00:00:00+00",
        )
