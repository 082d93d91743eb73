"""Stored token sets: regions and words, memory-mapped. How they are made is `stages.token_sets`."""

import numpy as np

from mrs_pipeline.encoders.store import MATRIX, PRESENT
from mrs_pipeline.errors import InputError
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import TokenMatrix


def read_tokens(stage: Stage, name: str) -> TokenMatrix:
    """A materialised token set; the values stay a memory map, of which nobody can change the file.

    Raises:
        InputError: it was made with another grid or width than the settings now say.
    """
    shape = stage.config.feature(name).token_shape
    assert shape is not None, "the settings name sets of tokens only"
    directory = stage.tokens.read(stage.config.name, stage.window, name).directory
    values = np.load(directory / MATRIX, mmap_mode="c", allow_pickle=False)
    if values.shape[1] != shape.count * shape.width:
        raise InputError(
            f"{name} holds {values.shape[1]} numbers an item and its settings ask for {shape.count} x {shape.width}: "
            f"mrs run {stage.config.name} makes it again"
        )
    present = np.load(directory / PRESENT, allow_pickle=False)
    return TokenMatrix(values.reshape(len(values), shape.count, shape.width), present, name, shape.grid)
