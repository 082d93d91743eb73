"""Two homes whose runs are in one PostgreSQL: started here where Debian's server is installed, else skipped."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrs_pipeline_tests.cli.shops import PROJECT

pytestmark = pytest.mark.slow
SETTINGS = (PROJECT / "deploy" / "postgres" / "dagster.yaml").read_text()


def as_server(*command: str) -> None:
    """PostgreSQL refuses to run as root."""
    own = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    subprocess.run([*own, *command], check=True, capture_output=True, cwd="/", timeout=60)


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server of its own listens, on localhost alone, with the user and the database of the example."""
    found = shutil.which("pg_ctl") or next(
        (str(p) for p in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), None
    )
    if found is None or (os.geteuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("PostgreSQL's server is not installed")
    programs = Path(found).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="mrs-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    secret = folder / "secret"
    secret.write_text("kept\n")
    secret.chmod(0o644)
    data = str(folder / "data")
    as_server(str(programs / "initdb"), "-D", data, "-U", "mrs", "-A", "scram-sha-256", f"--pwfile={secret}")
    options = (
        f"-c listen_addresses=127.0.0.1 -c port={number} -c unix_socket_directories={folder} -c fsync=off"
    )
    as_server(str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        subprocess.run(
            [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(number), "-U", "mrs", "mrs"],
            env=os.environ | {"PGPASSWORD": "kept"}, check=True, capture_output=True,
        )  # fmt: skip
        yield number
    finally:
        as_server(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_two_homes_share_their_runs(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_postgres")
    import dagster as dg

    monkeypatch.setenv("MRS_POSTGRES_PASSWORD", "kept")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dagster.yaml").write_text(SETTINGS.replace("port: 5432", f"port: {port}"))

    @dg.asset
    def something() -> int:
        return 1

    monkeypatch.chdir(tmp_path / "one")
    with dg.DagsterInstance.from_config(str(tmp_path / "one")) as one:
        run = dg.materialize([something], instance=one).run_id
    with dg.DagsterInstance.from_config(str(tmp_path / "other")) as other:
        found = other.get_run_by_id(run)
        assert found is not None and found.status is dg.DagsterRunStatus.SUCCESS
        assert other.get_latest_materialization_event(something.key) is not None
