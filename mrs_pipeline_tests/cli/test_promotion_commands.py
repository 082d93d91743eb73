"""`mrs promote`, `rollback`, `champions` and `gc`, typed on a home that has been run to the end."""

import shutil
from pathlib import Path

import pytest

from mrs_pipeline_tests.cli.shops import Mrs


@pytest.fixture
def copy(finished: Mrs, tmp_path: Path) -> Mrs:
    shutil.copytree(finished.root, tmp_path / "home")
    return Mrs(tmp_path / "home")


def test_from_promotion_to_rollback_and_gc(copy: Mrs) -> None:
    nobody = copy("rollback", "shop")
    assert nobody.code == 1 and "no champion before this one" in nobody.err
    without_reason = copy("promote", "shop", "most_pop", "--force")
    assert without_reason.code == 1 and "--reason" in without_reason.err
    refused = copy("promote", "shop", "most_pop")
    assert refused.code == 1
    assert "refused: most_pop" in refused.out and "popularity itself" in refused.out
    forced = copy("promote", "shop", "most_pop", "--force", "--reason", "a trial")
    assert forced.code == 0 and "champion  most_pop" in forced.out
    told = copy("champions", "shop", "--into", "history.png")
    assert "most_pop of window" in told.out and "a trial" in told.out and "forced" in told.out
    assert (copy.root / "history.png").read_bytes().startswith(b"\x89PNG")
    asked = copy("query", "SELECT outcome FROM serving.promotions ORDER BY decision")
    assert "refused" in asked.out and "promoted" in asked.out
    assert copy("gc").code == 1
    shown = copy("gc", "shop", "--delete")
    assert shown.code == 0 and "everything is needed" in shown.out and "champions" in shown.out
