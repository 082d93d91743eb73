"""What the nodes of a dataset are called in the UI: asset keys whose last part tells, groups in the order of the flow.

Dagster shows the last part of a key in a box of the graph, so `demo/metrics/freedom` and `demo/trained/freedom` would
be two boxes of one name. Names in the lake, in lineage and on the command line are those of `tasks.node`.
"""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from mrs_pipeline.tasks.node import Kind, Node

_BOXES: Final[Mapping[Kind, str]] = {
    Kind.RAW: "raw_{}",
    Kind.CORE: "{}",
    Kind.GRAPHS: "{}_graph",
    Kind.TRAINED: "{}_trained",
    Kind.RAW_CONTENT: "{}_content",
    Kind.RECOMMENDATIONS: "{}_lists",
    Kind.EXPERIMENTS: "{}_experiment",
    Kind.EVAL: "{}",
}
"""Kind -> the last part of its keys, where it is not `<name>_<kind>`."""

_FLOW: Final = ("raw", "core", "features", "pretraining")
_ENDS: Final = ("report", "experiments")
"""Groups before and after those of the models, in the order of the flow; the UI sorts groups by their names."""


def asset_key(dataset: str, output: Node) -> dg.AssetKey:
    """`metrics/freedom` of `demo` is the asset `demo/metrics/freedom_metrics`.

    >>> asset_key("demo", Node.parse("core/items")).to_user_string()
    'demo/core/items'
    """
    return dg.AssetKey([dataset, str(output.kind), _box(output.kind).format(output.name)])


def output_of(key: dg.AssetKey) -> tuple[str, Node]:
    """The dataset and the output that a key was made from.

    >>> str(output_of(dg.AssetKey(["demo", "metrics", "freedom_metrics"]))[1])
    'metrics/freedom'
    """
    dataset, kind, box = key.path
    before, after = _box(Kind(kind)).split("{}")
    return dataset, Node(Kind(kind), box.removeprefix(before).removesuffix(after))


def _box(kind: Kind) -> str:
    return _BOXES.get(kind, f"{{}}_{kind}")


def group_name(dataset: str, group: str) -> str:
    """The group of a task as Dagster calls it: with its dataset, and a number that sorts groups by the flow.

    >>> group_name("demo", "core"), group_name("demo", "fusion"), group_name("demo", "report")
    ('demo__2_core', 'demo__5_fusion', 'demo__6_report')
    """
    models = len(_FLOW) + 1
    places = {name: place for place, name in enumerate(_FLOW, 1)} | {
        name: place for place, name in enumerate(_ENDS, models + 1)
    }
    return f"{dataset}__{places.get(group, models)}_{group}"
