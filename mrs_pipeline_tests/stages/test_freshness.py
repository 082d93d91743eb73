"""What is current, what a change makes stale, and the refusal of inputs that do not belong together."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_pipeline.errors import InputError, StaleInputError
from mrs_pipeline.tasks import places
from mrs_pipeline.tasks.currency import is_current, provenance_of, upstream
from mrs_pipeline.tasks.node import CORE_ITEMS, LEADERBOARD, Node
from mrs_pipeline.tasks.places import expand, record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import WINDOW, perform, stage_of, stale, task_of

RAW = {"raw/interactions", "raw/items"}
QUALITY = {"quality/text_tfidf_svd", "quality/image_color_gradient"}
BY_STEPS = ("bpr_mf", "freedom")
INTERACTIONS = Path("data/raw/demo/interactions")


def _drop_a_row(path: Path) -> None:
    frame = pl.read_parquet(path)
    frame.head(frame.height - 1).write_parquet(path)


def _models(kind: str, *names: str) -> set[str]:
    return {f"{kind}/{name}" for name in names or ("most_pop", "bpr_mf", "freedom")}


def test_a_second_look_finds_everything_current(worked: Path) -> None:
    assert stale(stage_of(worked)) == set()


def test_another_window_has_nothing_yet(worked: Path) -> None:
    later = stage_of(worked, "2024-07")
    assert not is_current(later, task_of(later, "core/tables"))
    with pytest.raises(
        InputError, match=r"raw/interactions@2024-07, which is not materialised yet: run `mrs"
    ):
        upstream(later, task_of(later, "core/tables"))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"interactions": {"min_rating": 4, "k_core": 2}}, {"core/tables"}),
        ({"split": {"valid": 0.2}}, {"core/splits"}),
        ({"split": {"test": 0.3}}, {"core/splits"}),
        ({"item_graph_k": 12}, {"graphs/text_tfidf_svd", "graphs/image_color_gradient"}),
        ({"training": {"epochs": 3, "patience": 2}}, _models("trained")),
        (
            {"training": {"epochs": 2, "patience": 2, "threads": 2, "checkpoint_every": 3, "device": "cpu"}},
            set(),
        ),
        ({"seeds": [1, 2]}, _models("trained", "bpr_mf", "freedom")),  # a closed form has no seed
        ({"evaluation": {"ks": [20, 30]}}, _models("metrics")),
        ({"evaluation": {"metrics": ["recall", "ndcg", "auc"]}}, _models("metrics")),
        ({"evaluation": {"select_on": "ndcg@20"}}, _models("trained") | _models("metrics") | QUALITY),
        (
            {"models": {"most_pop": None, "bpr_mf": {"embedding_size": 16}, "freedom": None}},
            _models("trained", "bpr_mf") | _models("final", "bpr_mf"),
        ),
        (
            {"seeds": [2]},
            _models("trained") | _models("final") | _models("vectors") | _models("recommendations"),
        ),
        ({"serving": {"refit": False}}, _models("vectors") | _models("recommendations")),
        ({"evaluation": {"refit": True}}, _models("metrics")),
        (
            {"evaluation": {"refit": True}, "seeds": [1, 2]},
            _models("trained", *BY_STEPS) | _models("final", *BY_STEPS) | _models("metrics"),
        ),
        ({"models": {"most_pop": None, "bpr_mf": None}}, {"eval/leaderboard", "eval/drift"}),
        (
            {
                "features": [
                    {"modality": "text", "encoder": "tfidf_svd", "dimensions": 4},
                    {"modality": "image", "encoder": "color_gradient"},
                ]
            },
            {"features/text_tfidf_svd"},
        ),
        ({"description": "Another sentence."}, set()),
        ({"automation": {"watch": True}}, set()),
    ],
)
def test_a_changed_setting_touches_what_it_decides(
    worked: Path, changed: dict[str, Any], expected: set[str]
) -> None:
    """The direct victims; what is made from them follows when their content has changed."""
    assert stale(stage_of(worked, **changed)) == expected


def test_a_changed_file_of_the_history(stage: Stage) -> None:
    _drop_a_row(stage.home.root / INTERACTIONS / "2024-02.parquet")
    assert stale(stage) == RAW
    perform(stage, list(RAW))
    assert stale(stage) == {"core/tables", "eval/drift"}
    assert not is_current(stage, task_of(stage, "core/tables"))


def test_a_changed_file_of_a_later_window_ends_at_the_raw_tables(stage: Stage) -> None:
    _drop_a_row(stage.home.root / INTERACTIONS / "2024-12.parquet")
    assert stale(stage) == RAW
    perform(stage, list(RAW))
    assert stale(stage) == set()


def test_a_changed_picture_touches_its_modality_alone(stage: Stage) -> None:
    images = sorted((stage.home.root / "data/raw/demo/images").glob("*.jpg"))
    images[0].write_bytes(images[1].read_bytes())
    assert stale(stage) == {"features/image_color_gradient"}
    sounds = sorted((stage.home.root / "data/raw/demo/audio").glob("*.flac"))
    sounds[0].write_bytes(sounds[1].read_bytes())  # no feature set is made of sounds here
    assert stale(stage) == {"features/image_color_gradient"}


def test_a_picture_that_vanished_is_noticed(stage: Stage) -> None:
    images = sorted((stage.home.root / "data/raw/demo/images").glob("*.jpg"))
    images[0].unlink()
    assert stale(stage) == {"raw/items", "features/image_color_gradient"}


def test_the_same_content_again_changes_nothing_below(stage: Stage) -> None:
    before = {
        name: record(stage, Node.parse(name))[0] for name in ("core/items", "core/splits", "trained/bpr_mf")
    }
    perform(stage, ["raw/items", "raw/interactions", "core/tables", "core/splits", "trained/bpr_mf"])
    assert {name: record(stage, Node.parse(name))[0] for name in before} == before
    assert stale(stage) == set()


def test_features_of_other_items_are_refused_by_name(root: Path) -> None:
    """The core is built again, the features are not: a model must not be trained on rows that mean other items."""
    stage = stage_of(root, interactions={"min_rating": 4, "k_core": 4})
    perform(stage, ["core/tables", "core/splits"])
    with pytest.raises(StaleInputError) as refused:
        perform(stage, ["trained/freedom"])
    sentence = str(refused.value)
    assert sentence.startswith(f"features/text_tfidf_svd of tiny {WINDOW} was made from core/items ")
    assert "but core/items is now" in sentence
    assert f"run `mrs run tiny --window {WINDOW}`" in sentence
    assert "\n" not in sentence
    perform(stage, ["trained/most_pop"])  # it does not look at features


def test_a_split_of_other_interactions_is_refused(root: Path) -> None:
    stage = stage_of(root, interactions={"min_rating": 4, "k_core": 4})
    perform(stage, ["core/tables"])
    with pytest.raises(StaleInputError, match=r"core/splits of tiny 2024-06 was made from core/interactions"):
        perform(stage, ["trained/most_pop"])


def test_metrics_of_other_weights_are_refused(root: Path) -> None:
    """Weights of the old split: neither lists nor metrics may be made from them."""
    stage = stage_of(root, split={"valid": 0.3})
    perform(stage, ["core/splits"])
    read = {"final": "trained", "metrics": "trained", "recommendations": "final"}
    for kind, weights in read.items():
        refusal = f"{weights}/bpr_mf of tiny 2024-06 was made from core/splits"
        with pytest.raises(StaleInputError, match=refusal):
            perform(stage, [f"{kind}/bpr_mf"])


def test_provenance_names_every_input_and_file(worked: Path) -> None:
    stage = stage_of(worked)
    core = record(stage, CORE_ITEMS)[1].upstream
    months = [f"raw/interactions@2024-{month:02}" for month in range(1, 7)]
    assert set(core) == {*months, "raw/items"}
    raw = record(stage, Node.parse(f"raw/interactions@{WINDOW}"))[1].upstream
    assert {"source/items.csv", "source/interactions/2024-01.parquet"} <= set(raw)
    freedom = record(stage, Node.parse("trained/freedom"))[1]
    assert freedom == provenance_of(stage, task_of(stage, "trained/freedom"))
    assert {"core/splits", "features/text_tfidf_svd", "graphs/image_color_gradient"} <= set(freedom.upstream)


def test_the_leaderboard_reads_every_window_there_is(stage: Stage) -> None:
    above = Stage(stage.config, stage.home)
    task = task_of(above, "eval/leaderboard")
    assert expand(above, task, Node.parse("metrics/most_pop")) == [Node.parse("metrics/most_pop@2024-06")]
    later = stage.at("2024-07")
    perform(later, [*RAW, "core/tables", "core/splits", "trained/most_pop", "metrics/most_pop"])
    assert expand(above, task, Node.parse("metrics/most_pop")) == [
        Node.parse(f"metrics/most_pop@2024-0{month}") for month in (6, 7)
    ]
    assert not is_current(above, task)
    perform(stage, ["eval/leaderboard"])
    board = stage.lake.read(places.table_of(above, LEADERBOARD))
    assert set(board.filter(pl.col("model") == "most_pop")["window"]) == {"2024-06", "2024-07"}
