"""The items' kNN graphs, one a modality, as models take them in."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import binary, cosine_neighbours, mix, nearest, normalise_symmetric
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import NeighbourSetting
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig
from mrs_pipeline.taxonomy import Modality

_PUBLISHED_MIX = {Modality.IMAGE.value: 0.1, Modality.TEXT.value: 0.9}


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


def mixed_item_graph(
    inputs: ModelInputs, k: int, model: str, configured: Mapping[str, float] | None = None
) -> SparseOperator:
    """S = sum_m w_m S_m, neighbours without cosines, an item's weights summing to one over the modalities it has.

    The graph of FREEDOM and DRAGON. Weights are those `configured`, else the published .1 for images and .9 for text,
    else equal.
    """
    graphs, shares = [], []
    neighbours = item_graphs(inputs, k, model)
    for modality, weight in _mixing_weights(list(inputs.features), configured or {}).items():
        graph = neighbours[modality]
        graphs.append(normalise_symmetric(binary(graph)))
        shares.append(weight * (graph.indptr.diff() > 0).float())
    total = torch.stack(shares).sum(0).clamp(min=torch.finfo(torch.float32).tiny)
    return SparseOperator.from_csr(mix(graphs, [share / total for share in shares]))


def _mixing_weights(modalities: list[str], configured: Mapping[str, float]) -> dict[str, float]:
    if configured:
        return dict(configured)
    if set(modalities) == set(_PUBLISHED_MIX):
        return dict(_PUBLISHED_MIX)
    return {modality: 1.0 / len(modalities) for modality in modalities}


def joined_graph(inputs: ModelInputs, k: int) -> Csr:
    """Graph [I, I] of the nearest by all modalities' unit rows side by side, k neighbours a row, none below zero.

    An item without any features has an empty row and is nobody's neighbour.
    """
    joined = torch.cat([unit_rows(values) for values in inputs.features.values()], dim=1)
    items = torch.nonzero((joined != 0).any(1)).flatten()
    k = min(k, len(items))
    columns, cosines = cosine_neighbours(unit_rows(joined[items]), k)
    shape = (inputs.n_items, inputs.n_items)
    return Csr.from_pairs(
        items.repeat_interleave(k), items[columns].flatten(), cosines.flatten().clamp(min=0), shape
    )
