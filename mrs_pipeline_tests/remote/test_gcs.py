"""`mrs init` and `mrs run` on a folder of Google's object storage, spoken by an emulator on this machine."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from mrs_pipeline.remote import filesystem
from mrs_pipeline.remote.mirror import forget
from mrs_pipeline_tests.cli.shops import N_ITEMS, make_home, write_shop


@pytest.fixture(scope="module")
def gcs() -> Iterator[str]:
    """Address of a bucket; its endpoint is in the environment."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    port = server._api._httpd.server_address[1]  # the system chose it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        filesystem._opened.cache_clear()
        yield "gs://bucket"
    filesystem._opened.cache_clear()
    server.stop()


def test_from_objects_to_a_leaderboard(gcs: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    write_shop(folder)
    (folder / "sound.npy").unlink()
    bucket = fsspec.filesystem("gs", skip_instance_cache=True, use_listings_cache=False)
    bucket.put(f"{folder}/", "bucket/shop/", recursive=True)

    mrs = make_home(tmp_path / "home")
    made = mrs("init", f"{gcs}/shop", "--name", "shop")
    assert made.code == 0, made.err
    assert "interactions: 480 in interactions.csv, 40 users" in made.out
    assert f"image: files of 20 of {N_ITEMS} items" in made.out
    ran = mrs("run", "shop", "--models", "most_pop,ease")
    assert ran.code == 0, ran.err
    assert mrs("query", "--csv", "SELECT count(*) FROM quality.failed_media").out.split()[-1] == "0"
    assert mrs("query", "--csv", "SELECT count(image) FROM raw.items").out.split()[-1] == "20"

    rows = bucket.cat_file("bucket/shop/interactions.csv")
    bucket.pipe_file("bucket/shop/interactions.csv", rows + b"u1,i2,1700000000,5\n")
    forget()
    assert "raw/interactions" in mrs("status", "shop", "--why").out
    assert mrs("run", "shop", "--models", "most_pop").code == 0
    assert mrs("query", "--csv", "SELECT count(*) FROM raw.interactions").out.split()[-1] == "481"


def test_what_is_missing(gcs: str, tmp_path: Path) -> None:
    mrs = make_home(tmp_path / "home")
    assert "nothing is at gs://bucket/empty" in mrs("init", f"{gcs}/empty").sentence
