"""The arms of the survey's experiments: what they see, how one is measured, how they are put together."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.models.base import HasParts
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.studies.base import Arm
from mrs_pipeline.studies.missing import SHARES
from mrs_pipeline.studies.registry import EXPERIMENTS, experiment
from mrs_pipeline.studies.running import (
    WHOLE,
    ArmTask,
    as_seen,
    dependence,
    measure_arm,
    parts_of,
    run_arm,
    without_rows,
)
from mrs_pipeline.studies.summarising import summarise
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.toy import small_config, toy_market, trained

MODALITIES = ("audio", "image", "text")
MARKET = toy_market()
WITH_PARTS = ("fusion", "pamd", "dmrl", "macridvae")


def arm_task(arm: Arm, seed: int = 1, epochs: int = 2) -> ArmTask:
    """An arm on the toy market; its metrics are at 5, since 20 would be half the catalogue."""
    settings = small_config(arm.model).model_dump(exclude_unset=True)
    return ArmTask(
        data=MARKET.data,
        test=MARKET.test,
        arm=arm,
        settings=settings,
        missing="mask",
        seed=seed,
        training=TrainingOptions(epochs=epochs, batch_size=64, patience=100, threads=1),
        evaluation=EvaluationOptions(ks=(5, 10), select_on="recall@5"),
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_control_and_arms_that_exist(name: str) -> None:
    found = experiment(name)
    arms = found.arms(MODALITIES)
    assert len(arms) > 1
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        MODELS[arm.model].Config(**arm.settings)
        assert set(arm.modalities or ()) <= set(MODALITIES)
    assert all((found.title, found.question, found.reading))


def test_the_questions_of_the_survey_are_asked() -> None:
    assert list(EXPERIMENTS)[:6] == [
        "modality",
        "fusion",
        "enhancement",
        "disentangled",
        "training",
        "missing",
    ]
    seen = [arm.modalities for arm in experiment("modality").arms(MODALITIES)]
    assert seen == [None, ("audio",), ("image",), ("text",), None]
    shares = {arm.removed for arm in experiment("missing").arms(MODALITIES)}
    assert shares == set(SHARES) == {0.0, 0.1, 0.3, 0.5, 0.8}
    remedies = [arm for arm in experiment("missing").arms(MODALITIES) if arm.against]
    plain = {arm.name: arm for arm in experiment("missing").arms(MODALITIES) if not arm.against}
    assert {arm.series for arm in remedies} == {
        "vbpr + modality dropout",
        "freedom + modality dropout",
        "VI-MMRec on freedom",
        "FastMMRec on freedom",
    }
    for arm in remedies:
        control = plain[arm.against]
        assert control.removed == arm.removed
        assert control.model in (arm.model, arm.settings.get("backbone"))
    assert {"sibrar", "gume"} <= {arm.model for arm in plain.values()}
    with pytest.raises(InputError, match="no experiment 'fusoin'.*fusion"):
        experiment("fusoin")


def test_two_steps_are_pre_training_meta_learning_and_distillation() -> None:
    arms = [arm for arm in experiment("training").arms(MODALITIES) if arm.series == "two steps"]
    assert [arm.model for arm in arms] == ["pmgt", "mml", "promptmm"]
    for arm in arms[1:]:
        result = measure_arm(arm_task(arm, epochs=1))
        assert result.metrics["value"].drop_nulls().is_finite().all()
        assert len(result.users)


def test_rows_are_taken_away_by_lot() -> None:
    features = MARKET.data.features["text"]
    left = without_rows(features, 0.5, np.random.default_rng(3))
    n_present = int(features.present.sum())
    assert left.present.sum() == n_present - round(0.5 * n_present)
    assert not (left.present & ~features.present).any()
    assert not left.values[~left.present].any()
    assert np.array_equal(left.values[left.present], features.values[left.present])
    again = without_rows(features, 0.5, np.random.default_rng(3))
    assert np.array_equal(again.present, left.present)
    assert without_rows(features, 0.0, np.random.default_rng(3)) is features


def test_an_arm_sees_its_modalities_and_what_was_left_of_them() -> None:
    alone = as_seen(MARKET.data, Arm("a", "vbpr", modalities=("image",)), "mask", 1)
    assert set(alone.features) == {"image"}
    some = as_seen(MARKET.data, Arm("a", "vbpr", removed=0.3), "mask", 1)
    other_seed = as_seen(MARKET.data, Arm("a", "vbpr", removed=0.3), "mask", 2)
    assert not np.array_equal(some.features["text"].present, other_seed.features["text"].present)
    filled = as_seen(MARKET.data, Arm("a", "vbpr", removed=0.3, missing="mean"), "mask", 1)
    assert filled.features["text"].present.all()
    with pytest.raises(InputError, match="no modality 'video'.*image, text"):
        as_seen(MARKET.data, Arm("a", "vbpr", modalities=("video",)), "mask", 1)


def test_graphs_of_whole_features_do_not_bring_back_what_was_taken() -> None:
    graphs = {"text": object(), "image": object()}
    data = replace(MARKET.data, item_graphs=graphs)
    assert as_seen(data, Arm("a", "freedom"), "mask", 1).item_graphs == graphs
    assert as_seen(data, Arm("a", "freedom", removed=0.1), "mask", 1).item_graphs == {}
    assert as_seen(data, Arm("a", "freedom", missing="mean"), "mask", 1).item_graphs == {}


def test_a_process_of_its_own_gives_the_same_numbers() -> None:
    task = arm_task(Arm("a", "lightgcn"))
    here, there = measure_arm(task), run_arm(task)
    assert here.metrics.equals(there.metrics)
    assert here.users.equals(there.users)
    assert 0 < there.facts["peak_memory_mb"] < 200
    assert there.facts["seconds"] > 0


@pytest.mark.parametrize("name", WITH_PARTS)
def test_parts_are_scored_one_by_one_and_their_dependence_lies_between_0_and_1(name: str) -> None:
    result = measure_arm(arm_task(Arm("a", name, parts=True)))
    parts = set(result.metrics["part"])
    assert WHOLE in parts
    assert len(parts) > 2
    assert 0 <= result.facts["dependence"] <= 1
    values = result.users.group_by("part").agg(pl.col("value").sum())
    assert len(values) == len(parts)


def test_the_models_with_parts_are_those_that_say_so() -> None:
    for name in ("lightgcn", "vbpr"):
        model = trained(name, MARKET.data, epochs=1)
        assert not isinstance(model, HasParts)
        with pytest.raises(InputError, match=f"model '{name}' has no parts"):
            parts_of(model)


def test_copies_depend_on_each_other_more_than_strangers_do() -> None:
    class Copies:
        n_items, device = 300, torch.device("cpu")

        def __init__(self, same: bool) -> None:
            generator = torch.Generator().manual_seed(0)
            one, other = (torch.randn(300, 4, generator=generator) for _ in range(2))
            self._items = {"a": one, "b": one if same else other}

        def parts(self):
            return {name: (items[:2], items) for name, items in self._items.items()}

    assert dependence(Copies(True), 1) == pytest.approx(1, abs=1e-3)
    assert dependence(Copies(False), 1) < 0.35


def _rows(
    arm: str, position: int, seed: int, values: list[float], against: str = "control"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    facts = {"arm": arm, "position": position, "series": arm, "part": WHOLE, "model": "m", "removed": 0.0}
    facts["against"] = against
    cost = {"seconds": 2.0 * seed, "seconds_per_epoch": 0.1, "epochs": 3, "peak_memory_mb": 100.0 + seed}
    measured = {"slice": ["all", "warm"], "metric": "recall", "k": 20, "value": [float(np.mean(values)), 0.5]}
    arms = pl.DataFrame({**measured, "seed": seed, "parameters": 7, "dependence": None}).with_columns(
        **{name: pl.lit(value) for name, value in {**facts, **cost}.items()}
    )
    users = pl.DataFrame(
        {"user": range(len(values)), "value": values, "arm": arm, "part": WHOLE, "seed": seed}
    )
    return arms, users


def test_arms_are_held_against_the_control_on_the_same_users() -> None:
    base = [0.0, 1.0, 0.5, 0.0, 1.0, 0.0]
    better = [value + 0.2 for value in base]
    parts = [
        _rows("control", 0, 1, base),
        _rows("control", 0, 2, base),
        _rows("better", 1, 1, better),
        _rows("better", 1, 2, [value + 0.01 * (number % 2) for number, value in enumerate(better)]),
    ]
    table = summarise(pl.concat(p[0] for p in parts), pl.concat(p[1] for p in parts), "recall@20")
    assert table["arm"].to_list() == ["control", "better"]
    control, other = table.to_dicts()
    assert control["difference"] is None and control["p"] is None
    assert other["difference"] == pytest.approx(0.2 + 0.0025)
    assert other["difference_low"] < other["difference"] < other["difference_high"]
    assert other["p"] < 0.01
    assert control["value"] == pytest.approx(np.mean(base))
    assert control["spread"] == 0
    assert other["spread"] > 0
    assert (control["seconds"], control["peak_memory_mb"], control["seeds"]) == (3.0, 102.0, 2)
    assert control["warm"] == 0.5 and control["cold"] is None


def test_an_arm_may_name_its_own_control() -> None:
    base = [0.0, 1.0, 0.5, 0.0, 1.0, 0.0]
    shifted = {name: [value + shift for value in base] for name, shift in (("b", 0.3), ("b wrapped", 0.4))}
    parts = [
        _rows("a", 0, 1, base, against="a"),
        _rows("b", 1, 1, shifted["b"], against="b"),
        _rows("b wrapped", 2, 1, shifted["b wrapped"], against="b"),
    ]
    table = summarise(pl.concat(p[0] for p in parts), pl.concat(p[1] for p in parts), "recall@20")
    assert table["difference"].to_list() == [None, None, pytest.approx(0.1)]


def test_every_two_experiments_differ() -> None:
    for one, other in combinations(EXPERIMENTS.values(), 2):
        assert one.question != other.question
