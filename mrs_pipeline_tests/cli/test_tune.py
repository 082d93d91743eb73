"""`mrs tune`: what it prints, saves and does not do twice."""

from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest
import yaml
from filelock import FileLock

from mrs_pipeline.errors import NonFiniteLossError
from mrs_pipeline.tuning import search as tuning
from mrs_pipeline.tuning.presets import read_presets, write_preset
from mrs_pipeline_tests.cli.shops import Mrs, Shop, add_shop, make_home


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a shop whose features are stored, to be copied."""
    mrs = make_home(tmp_path_factory.mktemp("prepared") / "home")
    add_shop(mrs.root)
    assert mrs("tune", "shop", "mm_ease", "--trials", "1").code == 0
    rmtree(mrs.root / "data" / "searches")
    return mrs.root


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Mrs:
    return Mrs(copytree(prepared, tmp_path / "home"))


@pytest.fixture
def shop(home: Mrs) -> Shop:
    return Shop(home.root / "raw" / "shop", home.root / "defs" / "shop" / "defs.yaml")


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], Any]]:
    """The trainings that a search really ran: model, settings, training options."""
    ran: list[tuple[str, dict[str, Any], Any]] = []
    real = tuning.fit

    def noted(data: Any, model: str, config: dict[str, Any], **options: Any) -> Any:
        ran.append((model, config, options["training"]))
        assert {name for name in vars(data) if "test" in name} == set()
        return real(data, model, config, **options)

    monkeypatch.setattr(tuning, "fit", noted)
    return ran


def presets(shop: Shop) -> Path:
    return shop.defs.with_name("presets.yaml")


def test_prints_settings_to_paste(home: Mrs, shop: Shop, fits: list[Any]) -> None:
    told = home("tune", "shop", "mm_ease", "--trials", "3")
    assert told.code == 0, told.err
    assert "shop, window full, mm_ease: validation recall@20" in told.out
    assert all(config["memory_limit_gb"] == 3 for _, config, _ in fits)  # set by hand in defs.yaml
    cells = [line.split("│") for line in told.out.splitlines() if line.startswith("│")]
    scores = [float(row[3]) for row in cells]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    summary = next(line for line in told.out.splitlines() if line.startswith("mm_ease: "))
    if "the best, for the dataset's defs.yaml:\n" in told.out:
        best = yaml.safe_load(told.out.partition("the best, for the dataset's defs.yaml:\n")[2])
        assert best["models"]["mm_ease"]["memory_limit_gb"] == 3
        assert f"recall@20 {scores[0]:.5f}"[:-2] in summary
    else:
        assert "beats the defaults" in summary
    assert not presets(shop).exists()
    assert not any(table.startswith(("models/", "eval/")) for table in home.tables("shop"))


def test_saves_and_searches_nothing_twice(home: Mrs, shop: Shop, fits: list[Any]) -> None:
    shop.settings(
        "    most_pop:\n",
        "    most_pop:\n    ease: {memory_limit_gb: 2}\n"
        "    bpr_mf: {reg_weight: 1, learning_rate: 0.01, item_bias: false}\n",
    )
    # most_pop has nothing to search, bpr_mf nothing left
    first = home("tune", "shop", "--trials", "2", "--save")
    assert first.code == 0, first.err
    assert [model for model, _, _ in fits] == ["ease", "ease", "mm_ease", "mm_ease"]
    kept = read_presets(presets(shop))
    assert list(kept) == ["ease", "mm_ease"]
    found = kept["ease"].found
    assert found.fixed == {"memory_limit_gb": 2}
    assert set(found.search_space) == {"reg_weight"}
    assert set(kept["ease"].settings) <= {"reg_weight"}
    assert found.command == "mrs tune shop ease --trials 2 --save"
    assert (found.window, found.metric, found.trials, found.seed) == ("full", "recall@20", 2, 1)
    text = presets(shop).read_text()

    again = home(*found.command.split()[1:])
    assert again.code == 0, again.err
    assert len(fits) == 4
    assert presets(shop).read_text() == text
    assert home("tune", "shop", "ease", "--trials", "2", "--force").code == 0
    assert len(fits) == 6


def test_a_run_trains_with_the_preset(home: Mrs, shop: Shop) -> None:
    assert home("tune", "shop", "mm_ease", "--trials", "1", "--save").code == 0
    preset = read_presets(presets(shop))["mm_ease"].model_copy(update={"settings": {"reg_weight": 77.0}})
    write_preset(presets(shop), "shop", "mm_ease", preset)
    run = home("run", "shop", "--models", "mm_ease")
    assert run.code == 0, run.err
    stored = home("query", "--csv", "SELECT config FROM models.runs WHERE model = 'mm_ease'").out
    assert '""reg_weight"":77.0' in stored and '""memory_limit_gb"":3.0' in stored


def test_a_smaller_budget_is_another_search_and_is_written_down(
    home: Mrs, shop: Shop, fits: list[Any]
) -> None:
    options = ("--trials", "1", "--epochs", "1", "--patience", "3")
    told = home("tune", "shop", "bpr_mf", *options, "--save")
    assert told.code == 0, told.err
    assert [(training.epochs, training.patience) for _, _, training in fits] == [(1, 3)]
    preset = read_presets(presets(shop))["bpr_mf"]
    assert (preset.found.epochs, preset.found.patience) == (1, 3)
    assert preset.found.command == f"mrs tune shop bpr_mf {' '.join(options)} --save"
    assert (preset.settings, preset.found.chosen) == ({}, "defaults")
    assert "none of 1 settings tried beats the defaults" in told.out


def test_a_model_that_always_diverges_does_not_hold_up_the_next(
    home: Mrs, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tuning.fit

    def diverging(data: Any, model: str, *rest: Any, **options: Any) -> Any:
        if model == "bpr_mf":
            raise NonFiniteLossError("loss term 'bpr' is nan")
        return real(data, model, *rest, **options)

    monkeypatch.setattr(tuning, "fit", diverging)
    told = home("tune", "shop", "bpr_mf", "mm_ease", "--trials", "1", "--save")
    assert told.code == 1
    assert "'bpr_mf' diverged with each of the 1 settings tried" in told.err
    assert list(read_presets(presets(shop))) == ["mm_ease"]


def test_one_search_at_a_time(home: Mrs, shop: Shop, fits: list[Any]) -> None:
    folder = home.root / "data" / "searches" / "shop"
    folder.mkdir(parents=True)
    with FileLock(folder / ".mm_ease.busy"):
        told = home("tune", "shop", "mm_ease")
    assert told.code == 1 and fits == []
    assert told.sentence == (
        "settings of mm_ease on shop are being searched by another process; wait for it to end"
    )


def test_presets_that_are_off_are_pointed_out(home: Mrs, shop: Shop) -> None:
    shop.settings("  training:", "  presets: false\n  training:")
    told = home("tune", "shop", "mm_ease", "--trials", "1", "--save")
    assert told.code == 0, told.err
    assert "`presets: false`, so nothing starts from them" in told.err


def test_only_the_named_settings_are_searched(home: Mrs, shop: Shop, fits: list[Any]) -> None:
    told = home("tune", "shop", "mm_ease", "--settings", "reg_weight", "--trials", "2", "--save")
    assert told.code == 0, told.err
    assert len(fits) == 2
    assert all("feature_weight" not in config for _, config, _ in fits)
    found = read_presets(presets(shop))["mm_ease"].found
    assert set(found.search_space) == {"reg_weight"}
    assert found.command == "mrs tune shop mm_ease --settings reg_weight --trials 2 --save"
    refused = home("tune", "shop", "mm_ease", "--settings", "dropout")
    assert refused.code == 1
    assert "'mm_ease' has no setting left to search among dropout" in refused.sentence


def test_refusals(home: Mrs, shop: Shop) -> None:
    told = home("tune", "shop", "most_pop")
    assert told.code == 1 and told.sentence.startswith("model 'most_pop' has no setting left to search")
    shop.settings("    mm_ease: {memory_limit_gb: 3}\n", "")
    told = home("tune", "shop")
    assert told.code == 1 and told.sentence.startswith("shop lists no model with a setting left to search")
    presets(shop).write_text("mm_eese: {}\n")
    told = home("datasets")
    assert told.code == 1
    assert told.sentence == (
        f"{presets(shop)}: mm_eese: there is no such model (did you mean 'mm_ease'?); see `mrs models`, and correct "
        "the name or take the entry out."
    )


def test_help_says_what_is_fixed(empty: Mrs) -> None:
    told = " ".join(empty("tune", "--help").out.replace("│", " ").split())
    assert "What defs.yaml says of a model is fixed" in told
    for option in ("--trials", "--epochs", "--patience", "--save", "--force", "--window"):
        assert option in told
