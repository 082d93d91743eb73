"""`mrs status` and `mrs verify`, typed on a home that has been run to the end."""

import shutil
from pathlib import Path

import pytest

from mrs_pipeline_tests.cli.shops import Mrs


@pytest.fixture
def copy(finished: Mrs, tmp_path: Path) -> Mrs:
    """A copy of the finished home, with the times of its files."""
    shutil.copytree(finished.root, tmp_path / "home")
    return Mrs(tmp_path / "home")


def test_everything_is_current_after_a_run(finished: Mrs) -> None:
    told = finished("status", "shop")
    assert told.code == 0
    assert "shop: 0 of " in told.out and " due " not in told.out.replace("are due", "")


def test_why_names_the_setting(copy: Mrs) -> None:
    defs = copy.root / "defs" / "shop" / "defs.yaml"
    defs.write_text(defs.read_text().replace("memory_limit_gb: 3", "memory_limit_gb: 2"))
    told = copy("status", "shop", "--why")
    assert told.code == 0
    assert "shop: 2 of " in told.out  # what validation chose, and what is trained again for serving
    assert "setting model.memory_limit_gb changed from 3.0 to 2.0" in " ".join(
        told.out.replace("│", " ").split()
    )


def test_verify_finds_discards_and_the_run_makes_again(copy: Mrs) -> None:
    assert copy("verify").code == 0
    weights = next(
        path for path in copy.root.glob("models/shop/**/weights.safetensors") if path.stat().st_size > 200
    )
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = copy("verify", "shop")
    assert found.code == 1
    assert "is not what was written" in found.out and "mrs run shop" in found.out
    assert copy("verify", "shop", "--discard").code == 0
    due = copy("status", "shop", "--why")
    assert "not made yet" in due.out
    ran = copy("run", "shop")
    assert ran.code == 0, ran.err
    assert copy("verify", "shop").code == 0
    assert copy("verify", "nobody").code == 1
