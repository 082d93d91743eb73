"""Where a layout leaves a choice: asked for in one sentence, whose remedy can be typed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Overrides, inspect_folder
from mrs_pipeline_tests.ingest.layouts.conftest import Opened
from mrs_pipeline_tests.ingest.layouts.folders import douban, features, lattice, lines, make, write


def test_a_label_that_may_be_a_split_is_asked_about(tmp_path: Path) -> None:
    write(tmp_path, "inter.csv", "user_id,item_id,rating,label\n0,1,5,0\n0,0,4,1\n0,2,4,2\n")
    features(tmp_path, "visual_feat.npy", rows=3)
    with pytest.raises(InputError) as caught:
        inspect_folder(tmp_path)
    assert str(caught.value) == (
        "inter.csv: `label` holds 0, 1, 2, and nothing says whether that is the split; run again with "
        "`--choose label=split` (0 train, 1 valid, 2 test) or `--choose label=ignore`"
    )
    chosen = inspect_folder(tmp_path, Overrides(choices={"label": "split"}))
    assert chosen.settings["source"]["choices"] == {"label": "split"}
    assert chosen.settings["split"] == {"strategy": "given"}
    ignored = inspect_folder(tmp_path, Overrides(choices={"label": "ignore"}))
    assert ignored.settings["split"]["strategy"] == "random"


def test_domains_that_number_their_items_alike(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    douban(tmp_path)
    write(tmp_path, "book/douban_book.tsv", "UserId\tItemId\tRating\tTimestamp\n1\t0\t5\t1182009600.0\n")
    with pytest.raises(
        InputError, match=r"one of book, movie has to be chosen; run again with `--choose domain=book`$"
    ):
        inspect_folder(tmp_path)
    assert opened(tmp_path, "douban", domain="book").interactions["user_id"].to_list() == ["1"]


def test_a_core_of_lattice(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    lattice(tmp_path)
    write(tmp_path, "0-core/train.json", '{"0": [1, 2]}')
    write(tmp_path, "0-core/test.json", '{"0": [3]}')
    assert opened(tmp_path, "lattice").interactions.height == 360
    assert opened(tmp_path, "lattice", core="0-core").interactions.height == 3
    assert any("--choose core=0-core" in line for line in inspect_folder(tmp_path).findings)


def test_artists_or_tracks(made: Callable[..., Opened]) -> None:
    assert made("lastfm-1k", item="track").item("band 3 - song")["title"] == "Song"


@pytest.mark.parametrize("separator", ["\t", ",", " ", "::", ";", "|"])
def test_separators_of_triples_are_found(
    separator: str, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    write(
        tmp_path,
        "rows.txt",
        lines([("u1", "007", 4, 1_388_275_200), ("u2", "008", 5, 1_388_275_201)], separator),
    )
    rows = opened(tmp_path, "triples").interactions
    assert rows.select("user_id", "item_id", "rating").rows() == [("u1", "007", 4.0), ("u2", "008", 5.0)]
    assert [moment.year for moment in rows["timestamp"]] == [2013, 2013]


def test_triples_that_cannot_be_told(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    write(tmp_path, "rows.txt", "u1,a b;c\nu2\n")
    with pytest.raises(InputError, match=r"rows.txt: cannot tell what separates its columns; run again with"):
        opened(tmp_path, "triples")
    write(tmp_path, "rows.txt", "u1,007,x,y,z\n")
    with pytest.raises(InputError, match=r"cannot tell what separates"):
        opened(tmp_path, "triples")
    rows = opened(tmp_path, "triples", separator="comma", format="UI").interactions
    assert rows.select("user_id", "item_id", "rating").rows() == [("u1", "007", None)]


def test_choices_that_do_not_exist(tmp_path: Path) -> None:
    folder = make(tmp_path, "lastfm-1k")
    with pytest.raises(InputError, match=r"has no choice 'x' \(it has: item\); leave it out$"):
        inspect_folder(folder, Overrides(choices={"x": "y"}))
    with pytest.raises(InputError, match=r"choose one of artist, track, for example `--choose item=artist`$"):
        inspect_folder(folder, Overrides(choices={"item": "y"}))
    own = tmp_path / "own"
    write(own, "interactions.csv", "user_id,item_id\n1,2\n")
    with pytest.raises(InputError, match=r"--choose goes with an official layout"):
        inspect_folder(own, Overrides(choices={"item": "artist"}))


def test_the_item_of_atomic_files(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    write(tmp_path, "x.inter", "user_id:token\tshop:token\tgood:token\n1\ts\tg\n")
    with pytest.raises(
        InputError,
        match=r"cannot tell which field is the item \(shop, good\); run again with `--choose item=shop`",
    ):
        opened(tmp_path, "recbole")
    assert opened(tmp_path, "recbole", item="good").interactions["item_id"].to_list() == ["g"]
