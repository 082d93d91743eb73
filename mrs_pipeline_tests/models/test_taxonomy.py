"""The survey's taxonomy is covered: no cell without a model."""

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.taxonomy import Cell


def test_no_cell_of_the_taxonomy_is_empty() -> None:
    covered = {cell for model in MODELS.values() for cell in model.spec.cells}
    assert covered == set(Cell)


def test_the_zoo_is_as_large_as_promised() -> None:
    assert len(MODELS) >= 29
