"""A tiny dataset whose months can be fed, and the files of its year."""

from typing import Any

from mrs_pipeline.dataset import DatasetConfig

TINY: dict[str, Any] = {
    "name": "tiny",
    "source": {"reader": "demo", "demo": {"users": 60, "items": 60}},
    "window": {"every": "month", "start": "2024-01", "end": "2024-12", "score_from": "2024-02"},
    "interactions": {"min_rating": 3, "k_core": 2},
    "models": {"most_pop": None, "ease": None},
    "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 8}],
}
MODELS = ("most_pop", "ease")
MONTHS = ("2024-02", "2024-03")


def tiny(**changed: Any) -> DatasetConfig:
    """Its settings, perhaps with others."""
    return DatasetConfig.model_validate({**TINY, **changed})
