"""A folder in motion is followed, and the tables end as a fresh ingest of it would make them."""

from pathlib import Path

import pytest

from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.tasks.moving_folder import (
    WINDOWS,
    Contents,
    Folder,
    Follower,
    contents,
    run,
    settings,
)


def fresh(folder: Folder, root: Path) -> Contents:
    """The tables that an ingest of the folder into a new home makes."""
    stage = Stage(settings(folder.root), Home(root))
    for window in WINDOWS:
        assert run(stage.at(window)) == []
    return contents(stage)


def mend(folder: Folder, follower: Follower) -> None:
    """Remove what cannot be read."""
    follower.come_to_rest()
    for name in follower.memory.faults:
        (folder.root / name.removeprefix("source/")).unlink()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_two_hundred_things_happen_to_a_folder(tmp_path: Path, seed: int) -> None:
    folder = Folder(tmp_path / "shop", seed)
    follower = Follower(tmp_path / "home", folder)
    happened = set()
    compared = 0
    for step in range(1, 201):
        happened.add(folder.happen())
        if folder.random.random() < 0.3:
            follower.look()
            follower.work(folder.random.choice((0, 1, 3)))
        if folder.random.random() < 0.08 or step == 200:
            mend(folder, follower)
            follower.come_to_rest()
            assert differences(follower.contents(), fresh(folder, tmp_path / f"fresh{step}")) == []
            compared += 1
    assert len(happened) == 13
    assert compared > 10


def differences(found: Contents, expected: Contents) -> list[str]:
    """Tables that are not as they should be. Windows without rows of their own need not be there."""
    with_rows = {name.partition("@")[2] for name in expected if name.startswith("raw/")}
    needed = {name for name in expected if name.partition("@")[2] in with_rows}
    return sorted(name for name in needed | found.keys() if found.get(name) != expected.get(name))
