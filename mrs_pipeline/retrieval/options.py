"""Settings of an index of item vectors."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class IndexOptions(BaseModel):
    """How the index of a model's item vectors is built and asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    NEUTRAL: ClassVar[tuple[str, ...]] = ()

    exact_below: int = Field(default=100_000, ge=0)
    """Up to so many items all inner products are computed; with more, a graph (HNSW) is built and walked."""
    connectivity: int = Field(default=32, ge=2, le=256)
    """Links of an item in the graph."""
    expansion_add: int = Field(default=256, ge=1, le=10_000)
    """Candidates that are kept while an item is linked."""
    expansion_search: int = Field(default=256, ge=1, le=10_000)
    """Candidates that are kept while the graph is walked: more find more and take longer. Doubled, up to sixteen times
    as many, until what is found is what `min_recall` asks for."""
    min_recall: float = Field(default=0.99, gt=0, le=1)
    """Share of the exact first twenty that the index has to find; the check `recall` warns below it."""
