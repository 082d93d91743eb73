"""The search: defaults first, whole grid where it is small, seeded otherwise; kept, resumed; validation only."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mrs_pipeline.errors import InputError, NonFiniteLossError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.tuning.search import Journal, Tuned, tune
from mrs_pipeline_tests.toy import interactions

QUICK = TrainingOptions(epochs=2, batch_size=64)
NARROW = {"embedding_size": 8, "learning_rate": 0.05}

Score = Callable[[dict[str, Any]], float]


def tried(found: Tuned) -> list[dict[str, Any]]:
    return [json.loads(overrides) for overrides in found.trials["overrides"]]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Score], list[dict[str, Any]]]:
    """Trainings that cost nothing: `fits(score)` makes them score so, and lists the settings of those that were run."""

    def start(score: Score) -> list[dict[str, Any]]:
        ran: list[dict[str, Any]] = []

        def fit(data: object, model: str, config: dict[str, Any], **_: object) -> SimpleNamespace:
            ran.append(config)
            return SimpleNamespace(result=SimpleNamespace(best_score=score(config), history=[1], seconds=0.5))

        monkeypatch.setattr("mrs_pipeline.tuning.search.fit", fit)
        return ran

    return start


def by_layers(config: dict[str, Any]) -> float:
    """A score that differs between any two settings of lightgcn."""
    return config["n_layers"] / 10 + config["reg_weight"] + config["learning_rate"]


def journal(folder: Path, **changed: Any) -> Journal:
    return replace(Journal(folder / "searches" / "lightgcn.journal", "data", "code"), **changed)


def test_a_small_grid_is_searched_whole(market):
    fixed = {**NARROW, "item_bias": False}
    found = tune(market.data, "bpr_mf", fixed, trials=5, training=QUICK)
    assert sorted(each["reg_weight"] for each in tried(found)) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert tried(found)[0]["reg_weight"] == MODELS["bpr_mf"].Config().reg_weight
    assert found.score == found.trials["score"].max()
    assert found.defaults_score == found.trials["score"][0]
    best = found.trials.filter(found.trials["score"] == found.score)["overrides"].to_list()
    assert not found.settings or json.dumps({**fixed, **found.settings}) in best
    assert all(each["embedding_size"] == 8 for each in tried(found))


def test_a_large_space_is_sampled_alike_for_the_same_seed(market):
    first = tune(market.data, "freedom", NARROW, trials=3, seed=2, training=QUICK)
    again = tune(market.data, "freedom", NARROW, trials=3, seed=2, training=QUICK)
    assert len(first.trials) == 3
    assert first.trials.drop("seconds").equals(again.trials.drop("seconds"))


def test_fixed_settings_are_not_searched(market):
    with pytest.raises(InputError, match="model 'ease' has no setting left to search"):
        tune(market.data, "ease", {"reg_weight": 3.0}, trials=1)


def test_the_defaults_are_tried_first_and_no_point_twice(market, fits):
    ran = fits(by_layers)
    found = tune(market.data, "lightgcn", trials=30)
    standard = MODELS["lightgcn"].Config()
    assert ran[0] == {name: getattr(standard, name) for name in ("n_layers", "reg_weight", "learning_rate")}
    assert len({json.dumps(each) for each in ran}) == len(ran) == 30
    assert found.settings == max(ran, key=by_layers)
    assert (found.score, found.defaults_score) == (by_layers(dict(found.settings)), by_layers(ran[0]))


def test_the_sampler_learns(market, fits):
    fits(by_layers)
    most_layers = 0
    for seed in (1, 2, 3):
        late = tried(tune(market.data, "lightgcn", trials=30, seed=seed))[10:]
        most_layers += sum(each["n_layers"] == 4 for each in late)
    assert most_layers > 1.3 * 60 / 4  # of 60 trials, blind choice would take a quarter


def test_defaults_outside_of_the_space_are_trained_besides(market, fits):
    ran = fits(lambda config: config.get("reg_weight", 0.05))
    space = MODELS["bpr_mf"].Config.search_space["reg_weight"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODELS["bpr_mf"].Config, "search_space", {"reg_weight": (0.03, 0.04)})
        worse = tune(market.data, "bpr_mf", only=["reg_weight"], trials=5)
    assert ran == [{}, {"reg_weight": 0.03}, {"reg_weight": 0.04}]
    assert (worse.settings, worse.score, worse.defaults_score) == ({}, 0.05, 0.05)
    assert worse.trials["score"].to_list() == [0.03, 0.04]
    assert MODELS["bpr_mf"].Config.search_space["reg_weight"] == space


def test_settings_that_only_equal_the_defaults_are_not_kept(market, fits):
    fits(lambda config: 0.1)
    found = tune(market.data, "lightgcn", trials=6)
    assert (found.settings, found.score, found.defaults_score) == ({}, 0.1, 0.1)


def test_a_finished_search_trains_nothing_again(market, fits, tmp_path):
    ran = fits(by_layers)
    first = tune(market.data, "lightgcn", trials=6, journal=journal(tmp_path))
    assert len(ran) == 6
    again = tune(market.data, "lightgcn", trials=6, journal=journal(tmp_path))
    assert len(ran) == 6
    assert (again.settings, again.score) == (first.settings, first.score)
    assert again.trials.equals(first.trials)
    fewer = tune(market.data, "lightgcn", trials=3, journal=journal(tmp_path))
    assert len(ran) == 6
    assert fewer.trials.equals(first.trials.head(3))


def test_an_interrupted_search_ends_as_an_uninterrupted_one(market, fits, tmp_path):
    fits(by_layers)
    whole = tune(market.data, "lightgcn", trials=14)

    def killed(config: dict[str, Any]) -> float:
        if len(ran) == 7:
            raise KeyboardInterrupt
        return by_layers(config)

    ran = fits(killed)
    with pytest.raises(KeyboardInterrupt):
        tune(market.data, "lightgcn", trials=14, journal=journal(tmp_path))
    rest = fits(by_layers)
    resumed = tune(market.data, "lightgcn", trials=14, journal=journal(tmp_path))
    assert len(rest) == 8
    assert resumed.trials.equals(whole.trials)


@pytest.mark.parametrize(
    "changed",
    [
        {"journal": {"data": "other"}},
        {"journal": {"code": "other"}},
        {"journal": {"restart": True}},
        {"seed": 2},
        {"training": TrainingOptions(epochs=3)},
        {"overrides": {"embedding_size": 8}},
    ],
)
def test_another_search_starts_anew(market, fits, tmp_path, changed):
    ran = fits(by_layers)
    tune(market.data, "lightgcn", trials=2, journal=journal(tmp_path))
    arguments = {**changed, "journal": journal(tmp_path, **changed.get("journal", {}))}
    tune(market.data, "lightgcn", trials=2, **arguments)
    assert len(ran) == 4


def test_settings_that_are_tuples_are_kept(market, fits, tmp_path):
    name, space = next(
        (name, model.Config.search_space)
        for name, model in MODELS.items()
        if any(isinstance(value, tuple) for values in model.Config.search_space.values() for value in values)
    )
    ran = fits(lambda config: float(len(ran)))
    data = market.data
    first = tune(data, name, trials=4, journal=journal(tmp_path))
    assert tune(data, name, trials=4, journal=journal(tmp_path)).settings == first.settings
    assert len(ran) == 4
    assert all(first.settings[key] in values for key, values in space.items())


def test_settings_that_diverge_are_told_and_the_search_goes_on(market, fits, tmp_path, caplog):
    def diverging(config: dict[str, Any]) -> float:
        if config["reg_weight"] == 0.1:
            raise NonFiniteLossError("loss term 'bpr' is nan at epoch 1, step 2")
        return config["reg_weight"]

    ran = fits(diverging)
    kept = replace(journal(tmp_path), file=tmp_path / "bpr_mf.journal")
    found = tune(market.data, "bpr_mf", only=["reg_weight"], trials=5, journal=kept)
    assert len(ran) == 5
    failed = found.trials.filter(found.trials["score"].is_null())
    assert [json.loads(each)["reg_weight"] for each in failed["overrides"]] == [0.1]
    assert "'bpr' is nan" in failed["failure"][0]
    assert "'bpr' is nan" in caplog.text
    assert (found.settings, found.score) == ({}, 0.01)  # the defaults are the best that is left
    assert tune(market.data, "bpr_mf", only=["reg_weight"], trials=5, journal=kept).trials.equals(
        found.trials
    )
    assert len(ran) == 5


def test_what_trains_where_the_defaults_diverge_is_kept(market, fits):
    def diverging(config: dict[str, Any]) -> float:
        if config["reg_weight"] == 0.01:
            raise NonFiniteLossError("nan")
        return config["reg_weight"]

    fits(diverging)
    found = tune(market.data, "bpr_mf", only=["reg_weight"], trials=5)
    assert (found.settings, found.defaults_score) == ({"reg_weight": 0.1}, None)


def test_a_search_in_which_all_diverges_says_so(market, fits):
    def diverging(config: dict[str, Any]) -> float:
        raise NonFiniteLossError("loss term 'bpr' is nan")

    fits(diverging)
    with pytest.raises(
        NonFiniteLossError, match="'bpr_mf' diverged with each of the 5 settings.*'bpr' is nan"
    ):
        tune(market.data, "bpr_mf", trials=5)


def test_nothing_to_validate_on_is_refused(market):
    blind = replace(market.data, valid=interactions([]))
    with pytest.raises(InputError, match="there is no validation interaction; give the split"):
        tune(blind, "ease", trials=2)
