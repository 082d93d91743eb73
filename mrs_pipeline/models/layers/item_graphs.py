"""The items' kNN graphs, one a modality, as models take them in."""

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import nearest
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import NeighbourSetting
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig


class ItemGraphConfig(LightGcnBackboneConfig):
    """Settings of models with item graphs beside LightGCN."""

    n_item_layers: int = Field(default=1, ge=1, le=8)
    """Propagation steps on the item graphs."""
    knn_k: int = Field(default=10, ge=1, le=200)
    """Neighbours of an item, itself among them; the dataset's `item_graph_k` must be at least as large."""

    @property
    def item_neighbours(self) -> NeighbourSetting:
        """`knn_k`."""
        return NeighbourSetting("knn_k", self.knn_k)


def item_graphs(inputs: ModelInputs, k: int, model: str) -> dict[str, Csr]:
    """Modality -> kNN graph [I, I] of raw features, k neighbours a row, cosine weights, none below zero.

    Raises:
        InputError: a modality's graph was not built, or with fewer than `k` neighbours.
    """
    graphs = {}
    for modality in inputs.features:
        if modality not in inputs.item_graphs:
            raise InputError(
                f"model '{model}' needs the item graph of modality '{modality}' and it was not built; "
                "materialise the graph of that feature set first"
            )
        graph = inputs.item_graphs[modality]
        neighbours = graph.indptr.diff()
        width, items = int(neighbours.max()), int((neighbours > 0).sum())
        if width < min(k, items):
            raise InputError(
                f"model '{model}' has knn_k {k} but the item graph of modality '{modality}' holds {width} "
                "neighbours an item; build the graph with more, or lower the model's knn_k"
            )
        kept = nearest(graph, k)
        # with few items opposites become neighbours, and a degree could come out at zero
        graphs[modality] = kept.with_weights(kept.weights.clamp(min=0))
    return graphs


def linked(graphs: dict[str, Csr]) -> Tensor:
    """[I, M] bool: whether an item has a row in each modality's graph, that is, features with a direction."""
    return torch.stack([graph.indptr.diff() > 0 for graph in graphs.values()], dim=1)
