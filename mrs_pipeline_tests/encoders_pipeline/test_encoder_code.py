"""A feature set is made again exactly when the code that decides its numbers changes."""

import ast
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from mrs_pipeline import encoders
from mrs_pipeline.encoders.registry import FeatureOptions, modules_of

ROOM = Path(str(encoders.__file__)).parent
SETTINGS = {"options", "registry", "settings", "report"}
"""They hold settings, which the task's version lists anyway, or open encoders."""
FOLDER = {"encoder": "transformer", "model": "./m", "pooling": "mean"}
ENTRIES: dict[str, dict[str, Any]] = {
    "tfidf_svd": {"modality": "text", "encoder": "tfidf_svd"},
    "text_transformer": {"modality": "text", **FOLDER},
    "clip": {"modality": "text", "encoder": "clip", "model": "./m"},
    "color_gradient": {"modality": "image", "encoder": "color_gradient"},
    "image_transformer": {"modality": "image", **FOLDER},
    "log_mel": {"modality": "audio", "encoder": "log_mel"},
    "audio_transformer": {"modality": "audio", **FOLDER},
    "video_transformer": {"modality": "video", **FOLDER},
    "identity": {"modality": "video", "encoder": "identity", "matrix": "m"},
}


def _reached(module: str, seen: set[str]) -> set[str]:
    """The module and all of this room that it imports."""
    if module in seen | SETTINGS:
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse((ROOM / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mrs_pipeline.encoders."):
            _reached(str(node.module).rpartition(".")[2], seen)
    return seen


def _modules(entry: dict[str, Any]) -> set[str]:
    options = TypeAdapter(FeatureOptions).validate_python(entry)
    return {module.removeprefix("encoders.") for module in modules_of(options)}


@pytest.mark.parametrize("module", ENTRIES)
def test_the_modules_are_those_that_are_imported(module: str) -> None:
    engine = _reached("engine", set()) - {"identity"}
    assert _modules(ENTRIES[module]) == engine | _reached(module, set())


def test_frames_have_the_modules_of_their_image_encoder() -> None:
    entry = {"modality": "video", "encoder": "frames", "image": {"modality": "image", **FOLDER}}
    assert _modules(entry) >= _reached("frames", set()) | _reached("image_transformer", set())


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_what_measures_and_checks_makes_nothing_stale(entry: dict[str, Any]) -> None:
    assert not _modules(entry) & {"bench", "checks", "missing", "report"}
