"""A folder in motion is followed, and the tables end as a fresh ingest of it would make them."""

from pathlib import Path

import pytest

from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.tasks.moving_folder import SCORED, WINDOWS, Folder, Follower, contents, run, settings


def fresh(folder: Folder, root: Path) -> dict[str, list[tuple[object, ...]]]:
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
    for step in range(200):
        happened.add(folder.happen())
        if folder.random.random() < 0.3:
            follower.look()
            follower.work(folder.random.choice((0, 1, 3)))
        if step % 100 == 99:
            mend(folder, follower)
            follower.come_to_rest()
            expected = fresh(folder, tmp_path / f"fresh{step}")
            found = follower.contents()
            assert found == {name: rows for name, rows in expected.items() if name in found}
            lacking = expected.keys() - found.keys()
            assert not {name for name in lacking if name.startswith("raw")}
            held = {name.partition("@")[2] for name in expected if name.startswith("raw")}
            assert not lacking & {f"core/interactions@{window}" for window in held & set(SCORED)}
    assert len(happened) == 13
