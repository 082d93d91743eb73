"""An experiment as an asset: run, kept arm by arm, resumed, shown on a page; its check trips where it must."""

from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.plan import on_request
from mrs_pipeline.stages import study as stage_module
from mrs_pipeline.stages.checks.results import check_experiment
from mrs_pipeline.stages.study import arms_of, encoder_facts, page_path
from mrs_pipeline.studies.registry import EXPERIMENTS
from mrs_pipeline.studies.running import ArmResult, ArmTask, measure_arm
from mrs_pipeline.tasks.currency import is_current
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.options import MirrorGradientOptions
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

NAME = "experiments/modality"
QUICK = {"experiments": {"epochs": 2, "patience": 2, "seeds": [1, 2]}}
BEFORE = ("raw/items", "raw/interactions", "core/tables", "core/splits")
FEATURES = ("features/text_tfidf_svd", "features/image_color_gradient")


@pytest.fixture
def arms_run(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The arms that were really run, in this process, to spare the start of others."""
    told: list[tuple[str, int]] = []

    def here(task: ArmTask) -> ArmResult:
        told.append((task.arm.name, task.seed))
        return measure_arm(task)

    monkeypatch.setattr(stage_module, "run_arm", here)
    return told


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = stage_of(tmp_path, **QUICK)
    perform(made, [*BEFORE, *FEATURES])
    return made


def _table(stage: Stage) -> pl.DataFrame:
    return stage.lake.read(table_of(stage, Node.parse(NAME)))


def test_an_experiment_is_run_kept_and_shown(stage: Stage, arms_run: list[tuple[str, int]]) -> None:
    task = task_of(stage, NAME)
    outcome = perform(stage, [NAME])[NAME]
    arms = ["no content", "image alone", "text alone", "all modalities"]
    assert arms_run == [(arm, seed) for seed in (1, 2) for arm in arms]
    table = _table(stage)
    assert table["arm"].to_list() == arms
    assert (table["seeds"] == 2).all()
    assert is_current(stage, task)
    page = page_path(stage, "modality").read_text(encoding="utf-8")
    assert all(arm in page for arm in arms)
    assert "<svg" in page
    assert outcome.facts["question"] in page
    assert all(result.passed for result in check_experiment(stage, task))


def test_an_interrupted_experiment_goes_on(stage: Stage, arms_run: list[tuple[str, int]]) -> None:
    perform(stage, [NAME])
    first = _table(stage)
    lost = stage.lake.partitions("eval", "experiment_arms")[0]
    stage.lake.delete(lost)
    stage.lake.delete(table_of(stage, Node.parse(NAME)))
    arms_run.clear()
    perform(stage, [NAME])
    assert len(arms_run) == 1
    seconds = ("seconds", "seconds_per_epoch", "peak_memory_mb")
    assert _table(stage).drop(seconds).equals(first.drop(seconds))


def test_other_settings_run_the_arms_anew(
    stage: Stage, arms_run: list[tuple[str, int]], tmp_path: Path
) -> None:
    perform(stage, [NAME])
    arms_run.clear()
    other = stage_of(tmp_path, experiments={"epochs": 1, "patience": 2, "seeds": [1]})
    assert not is_current(other, task_of(other, NAME))
    perform(other, [NAME])
    assert len(arms_run) == 4


def test_arms_are_trained_with_presets_also_of_models_off_the_list(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, dict[str, object]] = {}

    def noted(task: ArmTask) -> ArmResult:
        seen[task.arm.model] = dict(task.settings)
        return measure_arm(task)

    monkeypatch.setattr(stage_module, "run_arm", noted)
    models = {arm.model for arm in arms_of(stage.config, EXPERIMENTS["modality"])}
    (unlisted, *_) = sorted(models - set(stage.config.model_configs))
    preset = {"learning_rate": 0.0625}
    tuned = Stage(stage.config.with_presets({unlisted: preset}), stage.home, stage.window)
    perform(tuned, [NAME])
    assert seen[unlisted] == preset


def test_a_wrapped_model_is_held_against_itself_without(
    stage: Stage, arms_run: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, MirrorGradientOptions | None] = {}

    def noted(task: ArmTask) -> ArmResult:
        trained[task.arm.name] = task.training.mirror_gradient
        return measure_arm(task)

    monkeypatch.setattr(stage_module, "run_arm", noted)
    perform(stage, ["experiments/mirror"])
    plain, wrapped = ("VBPR", "FREEDOM", "BM3"), ("VBPR + MG", "FREEDOM + MG", "BM3 + MG")
    assert [trained[arm] for arm in plain] == [None] * 3
    assert [trained[arm] for arm in wrapped] == [MirrorGradientOptions(every=3, ascent=0.2)] * 3
    table = stage.lake.read(table_of(stage, Node.parse("experiments/mirror")))
    pairs = dict(table.filter(pl.col("difference").is_not_null()).select("arm", "against").iter_rows())
    assert pairs == dict(zip(wrapped, plain, strict=True))
    values = dict(table.select("arm", "value").iter_rows())
    for arm, difference in table.select("arm", "difference").drop_nulls().iter_rows():
        assert difference == pytest.approx(values[arm] - values[pairs[arm]])
    page = page_path(stage, "mirror").read_text(encoding="utf-8")
    assert "FREEDOM + MG: recall@20" in page and "better than their control" in page


def test_the_check_misses_a_control(stage: Stage, arms_run: list[tuple[str, int]]) -> None:
    perform(stage, [NAME])
    task, table = task_of(stage, NAME), table_of(stage, Node.parse(NAME))
    provenance = stage.lake.manifest(table).provenance
    broken = _table(stage).slice(1).with_columns(value=pl.lit(1.5))
    stage.lake.write_frame(table, broken, provenance)
    (result,) = check_experiment(stage, task)
    assert not result.passed
    assert result.blocking


def test_experiments_run_only_when_asked_for(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    asked = {task.name for task in on_request(stage.config)}
    assert asked == {
        f"experiments/{name}"
        for name in ("modality", "fusion", "enhancement", "disentangled", "missing", "mirror")
    }
    blind = stage_of(tmp_path, features=[], models={"most_pop": None})
    assert on_request(blind.config) == []


def test_says_what_encoders_in_the_loop_start_from(tmp_path: Path) -> None:
    raw = [
        {"modality": "image", "encoder": "pixels"},
        {"modality": "text", "encoder": "network", "columns": ["title"], "model": str(tmp_path)},
    ]
    config = stage_of(tmp_path, raw=raw).config
    assert encoder_facts(config, EXPERIMENTS["training"]) == {
        "encoders start from": "image: random weights, text: a pretrained network"
    }
    assert encoder_facts(config, EXPERIMENTS["modality"]) == {}


SETS = [
    {"modality": "text", "encoder": "tfidf_svd", "dimensions": 8},
    {"modality": "image", "encoder": "color_gradient"},
    {"modality": "text", "encoder": "tfidf_svd", "dimensions": 2, "name": "coarse"},
]


def test_feature_sets_are_held_against_each_other(tmp_path: Path, arms_run: list[tuple[str, int]]) -> None:
    """Each arm sees the sets that it names, also those that no model of the dataset receives."""
    experiments = {"epochs": 2, "patience": 2, "seeds": [1]}
    made = stage_of(tmp_path, features=SETS, experiments=experiments)
    assert {str(node) for node in task_of(made, "experiments/features").inputs} >= {
        "features/text_coarse",
        *FEATURES,
    }
    perform(made, [*BEFORE, *FEATURES, "features/text_coarse"])
    outcome = perform(made, ["experiments/features"])["experiments/features"]
    rows = made.lake.read(table_of(made, Node.parse("experiments/features")))
    against = dict(rows.select("arm", "against").iter_rows())
    assert against == {
        "no content": "no content",
        "text_tfidf_svd": "no content",
        "text_coarse": "text_tfidf_svd",
        "image_color_gradient": "no content",
        "all, first sets": "no content",
        "all, other sets": "all, first sets",
    }
    seen = {arm.name: arm.modalities for arm in arms_of(made.config, EXPERIMENTS["features"])}
    assert seen["text_coarse"] == ("text_coarse",)
    assert seen["all, other sets"] == ("text_coarse", "image_color_gradient")
    values = dict(rows.select("arm", "value").iter_rows())
    assert len({values[name] for name in ("text_tfidf_svd", "text_coarse", "no content")}) > 1
    page = page_path(made, "features").read_text(encoding="utf-8")
    assert "text_coarse: tfidf_svd" in page and outcome.facts["question"] in page


def test_one_set_a_modality_leaves_nothing_to_compare(stage: Stage) -> None:
    names = {task.name for task in on_request(stage.config)}
    assert "experiments/modality" in names
    assert not {"experiments/features", "experiments/scaling"} & names


def test_scaling_trains_each_model_on_both(stage: Stage, tmp_path: Path) -> None:
    config = stage_of(tmp_path, features=SETS).config
    arms = arms_of(config, EXPERIMENTS["scaling"])
    assert len(arms) == 12
    for plain, better in zip(arms[::2], arms[1::2], strict=True):
        assert plain.model == better.model
        assert plain.against == better.against == plain.name
        assert plain.modalities == ("text_coarse", "image_color_gradient")
        assert better.modalities == ("text_tfidf_svd", "image_color_gradient")
