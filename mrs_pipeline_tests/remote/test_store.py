"""Two homes of one bucket: `mrs run` in the one, results, currency and the next run in the other."""

import shutil
from pathlib import Path

import pytest

from mrs_pipeline.remote.address import address_of
from mrs_pipeline.remote.objects import Objects
from mrs_pipeline_tests.cli.shops import Mrs, Shop, add_shop, make_home

MODELS = "most_pop,mm_ease"


@pytest.fixture
def home(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes homes with the same raw files whose results go to the bucket."""

    def made(name: str) -> tuple[Mrs, Shop]:
        mrs = make_home(tmp_path / name)
        return mrs, add_shop(mrs.root)

    monkeypatch.setenv("MRS_STORE", f"{s3}/results")

    return made


@pytest.mark.slow
def test_what_one_machine_makes_the_other_has(home, s3: str) -> None:
    (one, _), (other, shop) = home("one"), home("other")
    done = one("run", "shop", "--models", MODELS)
    assert done.code == 0, done.err
    shown = other("leaderboard", "shop")
    assert shown.code == 0, shown.err
    assert shown.out == one("leaderboard", "shop").out
    again = other("run", "shop", "--models", MODELS)
    assert again.code == 0, again.err
    assert " s (" in done.err and " s (" not in again.err, again.err
    assert other("verify").code == 0
    shutil.rmtree(other.root / "data" / "lake")
    assert other("leaderboard", "shop").out == shown.out
    shop.settings("memory_limit_gb: 3", "memory_limit_gb: 3, feature_weight: 7.0")
    changed = other("run", "shop", "--models", "mm_ease")
    assert changed.code == 0, changed.err
    assert "trained/mm_ease" in changed.err and "trained/most_pop" not in changed.err
    one("datasets")
    manifests = [
        mrs.root.joinpath("models", "shop", "full", "mm_ease", "manifest.json") for mrs in (one, other)
    ]
    assert manifests[0].read_text() == manifests[1].read_text()
    refs = Objects(address_of(f"{s3}/results")).names("refs/models/shop/full/mm_ease")
    assert refs == ["000000000001.json", "000000000002.json"]


def test_of_two_that_create_an_object_one_is_told(s3: str) -> None:
    objects = Objects(address_of(f"{s3}/created"))
    assert objects.create("refs/x/1.json", b"first")
    assert not objects.create("refs/x/1.json", b"second")
    assert objects.read("refs/x/1.json") == b"first"
    assert objects.names("refs") == ["x/1.json"] and objects.names("nothing") == []
