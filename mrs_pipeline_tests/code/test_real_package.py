"""Closures of real tasks in a copy of the package: changes in them are seen, changes elsewhere are not."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import mrs_pipeline
from mrs_pipeline.code import Closure, Program, difference
from mrs_pipeline_tests.code.mutations import mutate, reword

PACKAGE = Path(mrs_pipeline.__file__).resolve().parent
ROOTS = {
    "measure": ("mrs_pipeline.stages.measure:measure_model", "mrs_pipeline.models.baselines.bpr_mf:BprMf"),
    "train": ("mrs_pipeline.stages.train:train_model", "mrs_pipeline.models.fusion.vbpr:Vbpr"),
    "extract": ("mrs_pipeline.stages.features:extract_features", "mrs_pipeline.encoders.tfidf_svd:TfidfSvdEncoder"),
    "core": ("mrs_pipeline.stages.core:build_tables",),
    "report": ("mrs_pipeline.stages.report:make_report",),
}  # fmt: skip


@pytest.fixture(scope="module")
def _copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "mrs_pipeline", ignore=ignored))


@pytest.fixture
def copy(_copied: Path) -> Iterator[Path]:
    """A copy of the package, to be changed; what a test does to Python files is undone, so that they are read once."""
    before = {path: (path.read_bytes(), path.stat()) for path in sorted(_copied.rglob("*.py"))}
    yield _copied
    for path, (text, status) in before.items():
        path.write_bytes(text)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def closures(copy: Path) -> dict[str, Closure]:
    program = Program({"mrs_pipeline": copy})
    return {task: program.closure(*roots) for task, roots in ROOTS.items()}


def modules(copy: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of every module."""
    for path in sorted(copy.rglob("*.py")):
        parts = path.relative_to(copy).with_suffix("").parts
        yield ".".join(("mrs_pipeline", *parts)).removesuffix(".__init__"), path


@pytest.mark.parametrize("seed", [1, 2])
def test_exactly_the_definitions_that_were_changed_are_seen(copy: Path, seed: int) -> None:
    """Of every third definition of the package something is changed at once; each closure names its own."""
    before, chance, program = closures(copy), random.Random(seed), Program({"mrs_pipeline": copy})
    changed: set[str] = set()
    for name, path in modules(copy):
        module = program.source(name)[1]
        changed |= {
            f"{name}:{each}" for each in mutate(path, module, lambda _: chance.random() < 0.33, chance)
        }
    after = closures(copy)
    for task in ROOTS:
        old, new = before[task].definitions, after[task].definitions
        within = changed & old.keys()
        assert {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} == within, task
        assert len(difference(old, new)) == len(within)
        assert len(within) > 10
        assert (
            len({key.partition(":")[0] for key in changed - within} & {key.partition(":")[0] for key in old})
            > 5
        )


def test_words_layout_and_annotations_are_not_seen(copy: Path) -> None:
    before = closures(copy)
    entries = {root.partition(":")[0] for roots in ROOTS.values() for root in roots}
    for name, path in modules(copy):
        if name not in entries:  # annotations of a root's parameters say what comes from outside
            reword(path)
    after = closures(copy)
    for task in ROOTS:
        assert difference(before[task].definitions, after[task].definitions) == (), task


def test_a_new_method_function_or_setting_that_nothing_reads_is_not_seen(copy: Path) -> None:
    before = closures(copy)
    added = {
        "storage/lake.py": (
            "    def delete(",
            "    def brand_new(self) -> int:\n        return 1\n\n    def delete(",
        ),
        "functional/losses.py": ("\ndef ", "\ndef brand_new() -> int:\n    return 1\n\n\ndef "),
        "dataset.py": ("    seeds: tuple", "    brand_new: int = 3\n    seeds: tuple"),
        "training/options.py": ("    epochs: int", "    brand_new: int = 3\n    epochs: int"),
    }
    for name, (old, new) in added.items():
        path = copy / name
        text = path.read_text()
        assert old in text, name
        path.write_text(text.replace(old, new, 1))
    after = closures(copy)
    for task in ROOTS:
        assert difference(before[task].definitions, after[task].definitions) == (), task
