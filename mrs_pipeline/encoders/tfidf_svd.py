"""Text without learned weights: TF-IDF on the first singular vectors (latent semantic analysis).

Deerwester et al., JASIS 1990; term weights (1 + log tf) * idf; singular vectors by the randomised method of
Halko, Martinsson and Tropp (SIAM Review 2011) with a stated seed, so that the same corpus gives the same
matrix. Rows have length one. Pretrained language models are other files.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import FittedEncoder, Surroundings
from mrs_pipeline.encoders.options import TextOptions
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_FIT_TEXTS = 200_000
"""Texts that are learned from, evenly spaced over the catalogue; bounds memory."""


class TfidfSvdOptions(TextOptions):
    """Latent semantic analysis: TF-IDF weights projected on their first singular vectors."""

    encoder: Literal["tfidf_svd"]
    dimensions: int = Field(default=128, ge=1, le=4096)
    """Singular vectors kept; fewer where the vocabulary or the catalogue is smaller."""
    max_vocabulary: int = Field(default=50_000, ge=1)
    """Most frequent terms kept."""
    min_items: int = Field(default=2, ge=1)
    """Terms found in fewer items are dropped (unless that leaves none)."""
    analyzer: Literal["word", "char_wb"] = "word"
    """`char_wb` counts runs of 2 to 4 characters: for languages written without spaces."""
    seed: int = Field(default=0, ge=0)
    """Of the randomised singular value decomposition."""


class TfidfSvdEncoder(FittedEncoder):
    """Learns vocabulary, term weights and projection from the present texts."""

    Options = TfidfSvdOptions

    def __init__(self, options: TfidfSvdOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self._weights: Any = None
        self._projection: FloatArray = np.zeros((0, 0), dtype=np.float32)

    @property
    def dimensions(self) -> int:
        """Singular vectors found, at most the `dimensions` of the options."""
        return int(self._projection.shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """The texts."""
        return joined_text(self._settings, items)

    def loader(self) -> TextLoader:
        """Hands the text through."""
        return TextLoader()

    def fit(self, payloads: Iterable[str], n_payloads: int) -> None:
        """Learn from the texts; InputError if they hold no term at all."""
        from sklearn.utils.extmath import randomized_svd

        texts = list(compress(payloads, _evenly(n_payloads, MAX_FIT_TEXTS)))
        terms = self._fit_weights(texts)
        width = min(self._settings.dimensions, *terms.shape)
        _, strengths, directions = randomized_svd(terms, width, n_iter=5, random_state=self._settings.seed)
        # Directions without strength are rounding noise: there are fewer independent texts than dimensions.
        real = strengths > strengths[0] * np.finfo(np.float32).eps * max(terms.shape)
        self._projection = directions[real].T.astype(np.float32)

    def _fit_weights(self, texts: list[str]) -> "csr_matrix":
        from sklearn.feature_extraction.text import TfidfVectorizer

        options = self._settings
        for min_items in dict.fromkeys((options.min_items, 1)):
            self._weights = TfidfVectorizer(
                analyzer=options.analyzer,
                ngram_range=(1, 1) if options.analyzer == "word" else (2, 4),
                min_df=min_items,
                max_features=options.max_vocabulary,
                sublinear_tf=True,
                dtype=np.float32,
            )
            if len(texts) < min_items:
                continue
            try:
                return self._weights.fit_transform(texts)
            except ValueError as error:
                # scikit-learn's way to say that no term is left; with min_items 1 that is final.
                if not str(error).startswith(("empty vocabulary", "After pruning")):
                    raise
        raise InputError(
            f"features: text encoder tfidf_svd finds no term in the columns {', '.join(options.columns)} of "
            f"{len(texts)} items; name other columns, or analyzer: char_wb for a language without spaces"
        )

    def encode(self, payloads: Sequence[str]) -> FloatArray:
        """[B, F] unit rows; zero where no term of the text is in the vocabulary."""
        from sklearn.preprocessing import normalize

        projected = self._weights.transform(payloads) @ self._projection
        rows: FloatArray = normalize(projected).astype(np.float32, copy=False)
        return rows


def _evenly(n: int, most: int) -> BoolArray:
    """[n] bool, True for at most `most` evenly spaced positions."""
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[np.linspace(0, n - 1, min(n, most)).astype(np.int64)] = True
    return chosen
