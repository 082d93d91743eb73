"""Where text encoders find their text: item columns joined into one string. No vectors here."""

from dataclasses import dataclass

import polars as pl

from mrs_pipeline.encoders.base import Content, bytes_digest, require_columns
from mrs_pipeline.encoders.options import TextOptions


def joined_text(options: TextOptions, items: pl.DataFrame) -> pl.Series:
    """[rows] the non-empty ones of the named columns joined by line breaks; null where all are empty."""
    require_columns(options, items, options.columns)
    parts = [pl.col(name).cast(pl.String).str.strip_chars().replace("", None) for name in options.columns]
    joined = pl.concat_str(parts, separator="\n", ignore_nulls=True).str.slice(0, options.max_characters)
    return items.select(text=joined.replace("", None))["text"]


@dataclass(frozen=True)
class TextLoader:
    """The reference already is the text."""

    def read(self, reference: str) -> Content:
        """The text and its digest."""
        encoded = reference.encode()
        return Content(bytes_digest(encoded), len(encoded), reference)

    def decode(self, content: Content) -> str:
        """The text itself."""
        text: str = content.data
        return text
