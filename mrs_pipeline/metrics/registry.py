"""Every metric by name: those of this package and those that installed packages bring.

A package adds a metric with an entry point, named as the metric names itself:

    [project.entry-points."mrs_pipeline.metrics"]
    share_of_voice = "my_package.metrics:SHARE_OF_VOICE"
"""

from collections.abc import Iterable
from typing import Final

from mrs_pipeline.code.boundary import boundary
from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.registry import Registry

_HERE: Final = "mrs_pipeline.metrics"
_ACCURACY: Final = {
    "recall": f"{_HERE}.recall:RECALL",
    "ndcg": f"{_HERE}.ndcg:NDCG",
    "precision": f"{_HERE}.precision:PRECISION",
    "map": f"{_HERE}.average_precision:MAP",
    "mrr": f"{_HERE}.mrr:MRR",
    "hit": f"{_HERE}.hit:HIT",
    "auc": f"{_HERE}.auc:AUC",
    "gauc": f"{_HERE}.gauc:GAUC",
}
_BEYOND: Final = {
    "coverage": f"{_HERE}.coverage:COVERAGE",
    "gini": f"{_HERE}.gini:GINI",
    "novelty": f"{_HERE}.novelty:NOVELTY",
    "popularity": f"{_HERE}.popularity:POPULARITY",
    "popularity_lift": f"{_HERE}.popularity_lift:POPULARITY_LIFT",
    "serendipity": f"{_HERE}.serendipity:SERENDIPITY",
    "diversity": f"{_HERE}.diversity:DIVERSITY",
    "calibration": f"{_HERE}.calibration:CALIBRATION",
}


def _flaw(name: str, found: object) -> str | None:
    if not isinstance(found, Metric):
        return f"is no {Metric.__module__}.{Metric.__qualname__}"
    return None if found.name == name else f"calls itself '{found.name}'"


METRICS: Final[Registry[Metric]] = boundary(Registry(_HERE, "metric", {**_ACCURACY, **_BEYOND}, _flaw))
"""Name -> metric, in the order in which they are shown."""


def metrics_of(names: Iterable[str]) -> list[Metric]:
    """The metrics of these names; InputError lists the known ones where one is unknown."""
    return [METRICS.find(name) for name in names]


def metric_roots(names: Iterable[str]) -> tuple[str, ...]:
    """Where these metrics are defined, for the tasks whose results their code decides."""
    return tuple(METRICS.reference(name) for name in names)
