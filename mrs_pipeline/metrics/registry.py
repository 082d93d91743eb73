"""Every metric by name: those of this package and those that installed packages bring.

A package adds a metric with an entry point in its pyproject.toml:

    [project.entry-points."mrs_pipeline.metrics"]
    share_of_voice = "my_package.metrics:SHARE_OF_VOICE"

The object is a `base.Metric`; its own name counts, not the entry point's.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.plugins import Reference, installed, load

GROUP: Final = "mrs_pipeline.metrics"
"""The group of entry points."""

BUILT_IN: Final = tuple(
    Reference(f"mrs_pipeline.metrics.{place}")
    for place in (
        "recall:RECALL",
        "ndcg:NDCG",
        "precision:PRECISION",
        "average_precision:MAP",
        "mrr:MRR",
        "hit:HIT",
        "auc:AUC",
        "gauc:GAUC",
        "coverage:COVERAGE",
        "gini:GINI",
        "novelty:NOVELTY",
        "popularity:POPULARITY",
        "popularity_lift:POPULARITY_LIFT",
        "serendipity:SERENDIPITY",
        "diversity:DIVERSITY",
        "calibration:CALIBRATION",
    )
)
"""Where the package's own metrics are, in the order in which they are shown."""


@cache
def metrics() -> Mapping[str, Metric]:
    """Every metric by name, the package's own first.

    Raises:
        InputError: an installed package's metric cannot be loaded, is none, or bears a name that is taken.
    """
    return {name: metric for name, (_, metric) in _registered().items()}


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names; InputError lists the known ones where one is unknown."""
    known = metrics()
    for name in names:
        if name not in known:
            raise InputError(f"there is no metric '{name}'; there are {', '.join(known)}")
    return [known[name] for name in names]


def references(names: Sequence[str]) -> list[Reference]:
    """Where the metrics of these names are: what a number that they gave depends on."""
    return [_registered()[name][0] for name in names]


@cache
def _registered() -> Mapping[str, tuple[Reference, Metric]]:
    found: dict[str, tuple[Reference, Metric]] = {}
    for reference in (*BUILT_IN, *installed(GROUP)):
        metric = load(reference, Metric)
        if metric.name in found:
            raise InputError(
                f"{reference.origin} brings a metric '{metric.name}', but {found[metric.name][0].origin} has one of "
                "that name; rename one of them or uninstall the package"
            )
        found[metric.name] = (reference, metric)
    return found
