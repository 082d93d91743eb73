"""Item and user graphs in the store: one file of arrays.

How they are built is `stages.features` and `stages.user_graph`.
"""

from collections.abc import Mapping

import numpy as np

from mrs_pipeline.storage.artifacts import JSON
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import SparseGraph

GRAPH_FILE = "graph.safetensors"


def write_graph(
    stage: Stage, node: Node, provenance: Provenance, graph: SparseGraph, facts: Mapping[str, JSON]
) -> str:
    """Store a graph under its node's name; its digest."""
    from safetensors.numpy import save_file

    keys = (stage.config.name, stage.window, node.name)
    with stage.graphs.writing(*keys, provenance=provenance, facts=dict(facts)) as directory:
        save_file(
            {
                "indptr": graph.indptr,
                "indices": graph.indices,
                "weights": graph.weights,
                "shape": np.array(graph.shape, dtype=np.int64),
            },
            directory / GRAPH_FILE,
        )
    return stage.graphs.read(*keys).digest


def read_graph(stage: Stage, name: str) -> SparseGraph:
    """A materialised graph, of the items by a feature set or of the users."""
    from safetensors.numpy import load_file

    arrays = load_file(stage.graphs.read(stage.config.name, stage.window, name).directory / GRAPH_FILE)
    rows, columns = arrays["shape"].tolist()
    return SparseGraph(arrays["indptr"], arrays["indices"], arrays["weights"], (rows, columns))
