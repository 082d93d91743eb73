"""Texts by their shape alone: how long they are, and which share of the characters are upper case, digits and marks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from mrs_pipeline.encoders.base import Encoder
from mrs_pipeline.encoders.options import TextOptions
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.types import FloatArray


class TitleShapeOptions(TextOptions):
    """Settings of the encoder, beside the columns that every text encoder has."""

    encoder: Literal["title_shape"]
    log_length: bool = True
    """Take the logarithm of the length."""


class TitleShapeEncoder(Encoder):
    """Four numbers a text."""

    Options = TitleShapeOptions
    dimensions = 4

    def references(self, items: pl.DataFrame) -> pl.Series:
        """The texts."""
        return joined_text(self.options, items)

    def loader(self) -> TextLoader:
        """Hands the text through."""
        return TextLoader()

    def encode(self, payloads: Sequence[str]) -> FloatArray:
        """[B, 4] float32, one row a text."""
        kinds = (str.isupper, str.isdigit, lambda one: not one.isalnum())
        shares = [[sum(map(kind, text)) / len(text) for kind in kinds] for text in payloads]
        lengths = np.array([len(text) for text in payloads], dtype=np.float32)
        lengths = np.log1p(lengths) if self.options.log_length else lengths
        return np.column_stack([lengths, shares]).astype(np.float32)
