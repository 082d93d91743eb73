"""Item vectors of a pretraining as stored arrays: one file, a matrix and a mask for each part.

How they are made is `pretraining`; which models start from them is said by the models' specs.
"""

from collections.abc import Mapping
from pathlib import Path

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FeatureMatrix

VECTORS = "vectors.safetensors"
_VALUES, _PRESENT = "values:", "present:"


def write_vectors(directory: Path, matrices: Mapping[str, FeatureMatrix]) -> None:
    """Writes matrices under their keys."""
    from safetensors.numpy import save_file

    values = {f"{_VALUES}{key}": matrix.values for key, matrix in matrices.items()}
    masks = {f"{_PRESENT}{key}": matrix.present for key, matrix in matrices.items()}
    save_file({**values, **masks}, directory / VECTORS)


def read_vectors(stage: Stage, name: str) -> dict[str, FeatureMatrix]:
    """What the pretraining `name` has made: `<name>` or `<name>/<part>` -> item vectors."""
    from safetensors.numpy import load_file

    arrays = load_file(stage.pretrained.read(stage.config.name, stage.window, name).directory / VECTORS)
    keys = sorted(key.removeprefix(_VALUES) for key in arrays if key.startswith(_VALUES))
    return {key: FeatureMatrix(arrays[_VALUES + key], arrays[_PRESENT + key], key) for key in keys}
