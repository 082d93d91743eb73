"""Which edit of the source makes which tasks due: a table, and random edits within and without the closures.

Edits are made in a copy of the package, which is read and never run. The tasks named are those that are due by
themselves; what is made from them follows where its input has changed.
"""

import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

import mrs_pipeline
from mrs_pipeline.code import Program
from mrs_pipeline.code.program import ENGINE
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.plan import plan
from mrs_pipeline_tests.stages.working import TINY

SETTINGS = {
    **TINY,
    "models": {"most_pop": None, "bpr_mf": None, "ease": None, "lightgcn": None, "freedom": None},
}
TASKS = {task.name: task for task in plan(DatasetConfig.model_validate(SETTINGS))}
TRAINED_BY_STEPS = ("bpr_mf", "lightgcn", "freedom")
KINDS = ("trained", "final", "vectors", "recommendations", "metrics")
ALL_MODELS = tuple(f"{kind}/*" for kind in KINDS)


def of(*models: str) -> tuple[str, ...]:
    """The tasks of each model; one whose scores are no products has no vectors."""
    return tuple(f"{kind}/{name}" for name in models for kind in KINDS if f"{kind}/{name}" in TASKS)


@dataclass(frozen=True)
class Edit:
    """A text of a file that occurs once, what takes its place, and the tasks that this makes due, as patterns."""

    name: str
    file: str
    old: str
    new: str
    due: tuple[str, ...] = ()


EDITS = (
    # what changes nothing that is run
    Edit("a docstring", "models/layers/lightgcn.py", '"""', '"""Another word. '),
    Edit("a comment", "fitting.py", "def fit(\n", "# why\ndef fit(\n"),
    Edit(
        "an annotation",
        "models/baselines/bpr_mf.py",
        "batch: PairBatch) -> dict[str, Tensor]",
        "batch: object) -> object",
    ),
    Edit(
        "an unused helper",
        "functional/losses.py",
        "\ndef ",
        "\ndef nobody_calls_this() -> int:\n    return 1\n\n\ndef ",
    ),
    Edit(
        "a method that nobody calls",
        "storage/lake.py",
        "    def exists(",
        "    def unused(self) -> int:\n        return 1\n\n    def exists(",
    ),
    Edit(
        "the wording of a refusal",
        "fitting.py",
        "give the split a validation share",
        "ask for a share of validation rows",
    ),
    Edit(
        "a setting that no code reads",
        "training/options.py",
        "    epochs: int",
        "    colour: str = 'red'\n    epochs: int",
    ),
    Edit("a check", "stages/checks/models.py", "score > baseline", "score >= baseline"),
    Edit("a command", "cli/results.py", "min=1", "min=2"),
    Edit("how the UI shows a task", "orchestration/metadata.py", "_SHOWN_ROWS = 12", "_SHOWN_ROWS = 13"),
    Edit(
        "the plot of a training",
        "reporting/plots.py",
        "runs: pl.DataFrame, models: Sequence[str]) -> Figure",
        "runs: pl.DataFrame, models: Sequence[str] = ()) -> Figure",
        ("eval/report",),
    ),
    # the way of the data
    Edit(
        "the demo's market",
        "ingest/demo/market.py",
        "_EVENTS_PER_USER: Final = 35",
        "_EVENTS_PER_USER: Final = 36",
        ("raw/*", "features/*"),
    ),
    Edit("the SQL of a core table", "tables/core.py", "ORDER BY", "ORDER  BY", ("core/tables",)),
    Edit("the k-core", "tables/k_core.py", "while ", "while True and ", ("core/tables",)),
    Edit("the split", "splits/window.py", "times >= cut", "times > cut", ("core/splits",)),
    Edit("a stage", "stages/core.py", "_SAMPLE = 8", "_SAMPLE = 9", ("core/tables",)),
    # features
    Edit(
        "an encoder",
        "encoders/tfidf_svd.py",
        "def encode(self, payloads: Sequence[str]) -> FloatArray:",
        "def encode(self, payloads: Sequence[str], sign: int = -1) -> FloatArray:",
        ("features/text_tfidf_svd",),
    ),
    Edit(
        "the graph of neighbours",
        "functional/graphs.py",
        "def cosine_neighbours(unit: Tensor, k: int, block: int | None = None)",
        "def cosine_neighbours(unit: Tensor, k: int, block: int | None = 8)",
        ("graphs/*", "quality/*", *ALL_MODELS, "eval/report"),  # its gallery answers with models in use
    ),
    # models
    Edit(
        "the loss of one model",
        "models/baselines/bpr_mf.py",
        'return {"bpr": bpr_inner(*rows)',
        'return {"bpr": 10 * bpr_inner(*rows)',
        of("bpr_mf"),
    ),
    Edit("a shared layer", "models/layers/lightgcn.py", "return ", "return 1 * ", of("lightgcn", "freedom")),
    Edit(
        "the closed form",
        "models/layers/item_autoencoder.py",
        "inverse.fill_diagonal_(0.0)",
        "inverse.fill_diagonal_(1.0)",
        of("ease"),
    ),
    Edit(
        "what a model is given",
        "stored/training_data.py",
        "TrainingData(interactions(stage, TRAIN), interactions(stage, VALID))",
        "TrainingData(interactions(stage, TRAIN), interactions(stage, TRAIN))",
        (*ALL_MODELS, "eval/report"),
    ),
    Edit(
        "the training loop",
        "training/loop.py",
        "lr=own * grown, fused=True",
        "lr=own * grown, fused=False",
        ("trained/*", "final/*", "quality/*"),
    ),
    Edit(
        "how a model is trained again",
        "fitting.py",
        'update={"epochs": epochs}',
        'update={"epochs": epochs + 1}',
        ("final/*",),
    ),
    Edit(
        "how an index is built",
        "retrieval/index.py",
        "_DOUBLINGS: Final = 4",
        "_DOUBLINGS: Final = 5",
        ("index/*",),
    ),
    Edit("the stage that does so", "stages/final.py", "whole=True", "whole=False", ("final/*",)),
    Edit(
        "what all of the history is",
        "evaluation/history.py",
        "train=together(data.train, valid)",
        "train=together(valid, data.train)",
        (*ALL_MODELS, "eval/report"),
    ),
    # results
    Edit(
        "a local variable of a stage",
        "stages/measure.py",
        "found, seconds = [], []",
        "results, seconds = [], []",
        ("metrics/*",),
    ),
    Edit(
        "a metric",
        "metrics/ndcg.py",
        "return evidence.total(gain * evidence.inside(k)) / best",
        "return evidence.total(gain * evidence.inside(k)) / best / 2",
        ("metrics/*",),
    ),
    Edit(
        "the metric that chooses epochs",
        "metrics/recall.py",
        "return evidence.found(k) / evidence.relevant",
        "return evidence.found(k) / evidence.relevant / 2",
        ("metrics/*", "trained/*", "quality/*"),
    ),
    Edit(
        "the length of the lists",
        "stages/recommend.py",
        "LIST_LENGTH: Final = 50",
        "LIST_LENGTH: Final = 40",
        ("recommendations/*",),
    ),
    Edit(
        "a template",
        "reporting/templates/report.html.j2",
        "<footer",
        "<footer class='wide'",
        ("eval/report",),
    ),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's source."""
    copy = tmp_path_factory.mktemp("source") / "mrs_pipeline"
    shutil.copytree(Path(mrs_pipeline.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def digests(package: Path) -> dict[str, str]:
    """Task -> digest of its code in the copy."""
    program = Program({"mrs_pipeline": package})
    return {name: program.closure(task.run, *task.uses, stop=ENGINE).digest for name, task in TASKS.items()}


@pytest.fixture(scope="module")
def before(package: Path) -> dict[str, str]:
    return digests(package)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_makes_due_what_it_decides(package: Path, before: dict[str, str], edit: Edit) -> None:
    path = package / edit.file
    text = path.read_text()
    assert edit.old in text
    path.write_text(text.replace(edit.old, edit.new, 1))
    try:
        due = {name for name, digest in digests(package).items() if digest != before[name]}
    finally:
        path.write_text(text)
    expected = {name for name in TASKS if any(fnmatch(name, pattern) for pattern in edit.due)}
    assert due == expected


def test_the_table_leaves_no_kind_of_task_out() -> None:
    reached = {
        name for name in TASKS for edit in EDITS if any(fnmatch(name, pattern) for pattern in edit.due)
    }
    assert {name.partition("/")[0] for name in TASKS} - {name.partition("/")[0] for name in reached} <= {
        "raw"
    }
