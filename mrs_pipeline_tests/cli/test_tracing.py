"""Lineage read back from records: the right version of an input, also after it has been replaced."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.cli.tables import origin_tree
from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table
from mrs_pipeline.tasks.following import follow
from mrs_pipeline.tasks.tracing import Origin, trace


class Records:
    """Writes lineage as the stages do: one record an asset, window and run."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(root)

    def made(self, asset: str, version: str, minute: int, *, window: str = "full", **inputs: str) -> None:
        run = f"run{minute}"
        names = {name.replace("__", "/").replace("_at_", "@"): digest for name, digest in inputs.items()}
        making = {
            "asset": asset,
            "run": run,
            "made_at": datetime(2024, 1, 1, 12, minute),
            "data_version": version,
            "code_version": "code",
            "git_commit": "0123456789abcdef+",
            "package_version": "0.1.0",
        }
        edges = [
            {"asset": asset, "run": run, "upstream": name, "upstream_version": digest}
            for name, digest in names.items()
        ]
        for table, rows in (("materializations", [making]), ("edges", edges)):
            keys = {"dataset": "shop", "window": window, "record": f"{run}.{asset.replace('/', '.')}"}
            self.lake.write_frame(
                Table.of("lineage", table, **keys), pl.DataFrame(rows), Provenance("lineage")
            )


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "lake")


def names(origin: Origin) -> list[str]:
    return [each.name for each in origin.inputs]


def test_an_input_is_the_version_that_was_read_not_the_one_that_lies_there_now(records: Records) -> None:
    records.made("raw/items", "old", 0, source__items="file1")
    records.made("core/items", "core", 1, raw__items="old")
    records.made("raw/items", "new", 2, source__items="file2")
    origin = trace(records.lake, "shop", "core/items")
    (raw,) = origin.inputs
    assert (raw.digest, raw.made and raw.made.run) == ("old", "run0")
    assert [(leaf.name, leaf.digest, leaf.made) for leaf in raw.inputs] == [("source/items", "file1", None)]


def test_a_version_that_was_made_again_is_the_making_before_its_reader(records: Records) -> None:
    for minute in (0, 1, 3):
        records.made("raw/items", "same", minute, source__items=f"file{minute}")
    records.made("core/items", "core", 2, raw__items="same")
    (raw,) = trace(records.lake, "shop", "core/items").inputs
    assert raw.made and raw.made.run == "run1"


def test_windows_are_kept_apart(records: Records) -> None:
    records.made("raw/interactions", "one", 0, window="2015", source__a="a")
    records.made("raw/interactions", "two", 1, window="2016", source__a="a")
    records.made(
        "core/users",
        "users",
        2,
        window="2016",
        raw__interactions_at_2015="one",
        raw__interactions_at_2016="two",
    )
    for minute, window in ((3, "2015"), (4, "2016")):  # the same content in two windows
        records.made("core/splits", "splits", minute, window=window, core__users="users")
    records.made("metrics/ease", "metrics", 5, window="2016", core__splits="splits")
    origin = trace(records.lake, "shop", "metrics/ease")
    (splits,) = origin.inputs
    assert splits.made and splits.made.window == "2016"
    users = splits.inputs[0]
    assert [(raw.name, raw.made and raw.made.window) for raw in users.inputs] == [
        ("raw/interactions", "2015"),
        ("raw/interactions", "2016"),
    ]
    assert users.inputs[0].inputs[0] is users.inputs[1].inputs[0]


def test_the_latest_is_shown_unless_a_window_is_named(records: Records) -> None:
    records.made("core/users", "early", 7, window="2016", source__a="a")
    records.made("core/users", "late", 3, window="2017", source__a="a")
    assert trace(records.lake, "shop", "core/users").digest == "early"
    assert trace(records.lake, "shop", "core/users", "2017").digest == "late"
    with pytest.raises(InputError, match="has not been made for window 2018; it has for 2016, 2017"):
        trace(records.lake, "shop", "core/users", "2018")


def test_what_is_used_twice_is_spelt_out_once(records: Records) -> None:
    records.made("raw/items", "raw", 0, source__items="file", source__more="file")
    records.made("raw/interactions", "raws", 1, source__items="file", source__more="file")
    records.made("core/items", "items", 2, raw__items="raw", raw__interactions="raws")
    records.made("core/users", "users", 3, core__items="items", raw__items="raw")
    tree = origin_tree(trace(records.lake, "shop", "core/users"))
    core_items, raw_items = tree.children
    assert str(core_items.label).startswith("[bold]core/items full[/] items")
    assert "commit 01234567+" in str(core_items.label)
    assert str(raw_items.label) == "[bold]raw/items full[/] [dim](above)[/]" and not raw_items.children
    interactions, items = core_items.children
    assert [str(child.label) for child in interactions.children] == [
        "[bold]source/items[/] file",
        "[bold]source/more[/] file",
    ]
    assert [str(child.label) for child in items.children] == ["2 files [dim](above)[/]"]


def test_downwards_from_a_file_to_all_that_was_made_of_it(records: Records) -> None:
    for window in ("2015", "2016"):
        records.made(
            "raw/interactions", f"rows{window}", int(window) - 2015, window=window, source__a=f"file{window}"
        )
    records.made("core/users", "u16", 2, window="2016", raw__interactions_at_2015="rows2015")
    records.made("metrics/ease", "m16", 3, window="2016", core__users="u16")
    records.made("metrics/ease", "m16b", 4, window="2016", core__users="u16")
    records.made("core/users", "u17", 5, window="2017", raw__interactions_at_2016="rows2016")
    records.made("eval/report", "page", 6, metrics__ease_at_2016="m16b")
    found = follow(records.lake, "shop", "source/a", "file2015")
    assert [(each.steps, each.name, each.window, each.digest, each.latest) for each in found] == [
        (1, "raw/interactions", "2015", "rows2015", True),
        (2, "core/users", "2016", "u16", True),
        (3, "metrics/ease", "2016", "m16", False),
        (3, "metrics/ease", "2016", "m16b", True),
        (4, "eval/report", "full", "page", True),
    ]
    assert len(follow(records.lake, "shop", "source/a")) == len(found) + 2
    assert [each.name for each in follow(records.lake, "shop", "metrics/ease@2016")] == ["eval/report"]


def test_downwards_of_nothing_that_is_known(records: Records) -> None:
    records.made("raw/items", "raw", 0, source__items_csv="file")
    with pytest.raises(InputError, match="recorded as made of source/item_csv; there is source/items_csv"):
        follow(records.lake, "shop", "source/item_csv")
    with pytest.raises(InputError, match="nothing was made of a version x of source/items_csv"):
        follow(records.lake, "shop", "source/items_csv", "x")
    with pytest.raises(InputError, match="run `mrs run market` first"):
        follow(records.lake, "market", "source/items_csv")
