"""HCGCN-style. After Mu et al., "Learning Hybrid Behavior Patterns for Multimedia Recommendation", MM 2022.

https://doi.org/10.1145/3503161.3548119

Equation: K clusters with centres c_k; items belong to them by b_i = softmax_k(<unit(E_i + sum_m w_m W_m x_i^m),
unit(c_k)> / t), w = softmax of a learned vector over modalities, users by b_u = mean of their items' b. The clusters
cut the graphs into A_k = A * b[., k] b[., k]' of users and items and S_k likewise of items (S as in FREEDOM), both
normalised again, D^-1/2 . D^-1/2. (u, i) = sum_k b[., k] LightGCN_L(E on A_k), i += sum_k b_i[k] (S_k E)_i;
y_ui = <u, i>; loss = BPR + reg_weight * half the squared norm of the batch's vectors + cluster_weight * KL(t || b) over
items with t = b^2 / sum_i b, normalised again and constant.

A guess where the paper's abstract is all there is: graph convolution inside clusters of users and items and of items,
losses that form clusters, importance of modalities. Every formula above is ours; no figure of the paper is claimed.
With one cluster it is FREEDOM without its dropout and without its modalities' own losses. An item that lacks a
modality leaves it out of the sum.

Complexity: O(K (E L + k I) D + I F D) a step; no weights are kept for edges, a cut is two scalings of rows.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import DEGREE_EPSILON, bipartite_graph
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, mixed_item_graph
from mrs_pipeline.models.layers.parameters import linear, xavier
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_SMALLEST = 1e-12
"""Memberships below this count as this."""


class HcgcnConfig(ItemGraphConfig):
    """Settings of the HCGCN-style model."""

    search_space: ClassVar[SearchSpace] = {"n_clusters": (2, 4, 8), "cluster_weight": (1e-3, 1e-2, 1e-1)}

    n_layers: int = Field(default=1, ge=1, le=8)
    """Propagation steps L in each cluster's user-item graph."""
    n_clusters: int = Field(default=4, ge=1, le=64)
    """Clusters K."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the softmax that assigns items to clusters."""
    cluster_weight: float = Field(default=1e-2, ge=0)
    """Weight of the term that makes clusters distinct."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Hcgcn(IdentifierRecommender[HcgcnConfig]):
    """Convolutions inside soft clusters; see the module."""

    spec = ModelSpec(
        name="hcgcn",
        title="HCGCN-style",
        paper="after Mu et al., MM 2022",
        url="https://doi.org/10.1145/3503161.3548119",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH}),
        complexity="O(K (E L + k I) D + I F D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = HcgcnConfig

    def __init__(self, config: HcgcnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        graph = bipartite_graph(inputs.users, inputs.items, inputs.n_users, inputs.n_items)
        self._graph = SparseOperator.from_csr(graph, symmetric=True)
        self._item_graph = mixed_item_graph(inputs, config.knn_k, self.spec.name)
        self._sum_of_items = SparseOperator.from_csr(interaction_matrix(inputs))
        counts = torch.bincount(inputs.users, minlength=inputs.n_users)
        self._user_counts = counts.clamp(min=1).unsqueeze(1)
        self._features, self._n = inputs.features, len(inputs.features)
        # with one cluster everything belongs to it, and there is nothing to learn of that
        self.centres: nn.Parameter | None = None
        self.projections = nn.ModuleDict()
        if config.n_clusters > 1:
            self.centres = nn.Parameter(xavier((config.n_clusters, size), generator))
            for name, values in inputs.features.items():
                self.projections[name] = linear(values.shape[1], size, generator, bias=False)
        self.importance: nn.Parameter | None = None
        if config.n_clusters > 1 and self._n > 1:
            self.importance = nn.Parameter(torch.zeros(self._n, device=inputs.device))

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors, distinctness of the clusters."""
        config, memberships = self.config, self._memberships()
        rows = pair_rows(*self._final(memberships), batch)
        terms = {"bpr": bpr_inner(*rows), "reg": config.reg_weight * squared_norm(*rows)}
        if self.centres is not None:
            terms["clusters"] = config.cluster_weight * sharpening(memberships[self.n_users :])
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Sums over the clusters, users [U, D] and items [I, D]."""
        return self._final(self._memberships())

    def _memberships(self) -> Tensor:
        """Memberships b [N, K] of users, then of items."""
        if self.centres is None:
            return self.item_embedding.new_ones(self.n_users + self.n_items, 1)
        weights = [1.0] if self.importance is None else self.importance.softmax(0).unbind()
        content = [
            weight * layer(self._features[name])
            for weight, (name, layer) in zip(weights, self.projections.items(), strict=True)
        ]
        patterns = self.item_embedding + torch.stack(content).sum(0)
        logits = unit_rows(patterns) @ unit_rows(self.centres).T
        items = torch.softmax(logits / self.config.temperature, dim=1)
        return torch.cat([(self._sum_of_items @ items) / self._user_counts, items])

    def _final(self, memberships: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.cat([self.user_embedding, self.item_embedding])
        whole, of_items = memberships.clamp(min=_SMALLEST), memberships[self.n_users :]
        scales = _scales(self._graph, whole)
        item_scales = _scales(self._item_graph, whole[self.n_users :])
        nodes, around = torch.zeros_like(start), torch.zeros_like(self.item_embedding)
        for number in range(memberships.shape[1]):
            scale, layer, layers = scales[:, number : number + 1], start, start
            for _ in range(self.config.n_layers):
                layer = scale * (self._graph @ (scale * layer))
                layers = layers + layer
            nodes = nodes + memberships[:, number : number + 1] * layers / (self.config.n_layers + 1)
            scale, passed = item_scales[:, number : number + 1], start[self.n_users :]
            for _ in range(self.config.n_item_layers):
                passed = scale * (self._item_graph @ (scale * passed))
            around = around + of_items[:, number : number + 1] * passed
        users, items = nodes.split_with_sizes([self.n_users, self.n_items])
        return users, items + around


def _scales(graph: SparseOperator, memberships: Tensor) -> Tensor:
    """Scales s [N, K]: D_k^-1/2 (A * b_k b_k') D_k^-1/2 x = s_k * (A (s_k * x)), since D_k = b_k * (A b_k)."""
    return (memberships / (graph @ memberships + DEGREE_EPSILON)).sqrt()


def sharpening(memberships: Tensor) -> Tensor:
    """Mean KL(t || b) of memberships b [n, K] with t = b^2 / sum_i b, normalised again and constant (DEC, 2016)."""
    raised = memberships.square() / memberships.sum(0)
    target = (raised / raised.sum(1, keepdim=True)).detach()
    logs = (target.clamp(min=_SMALLEST) / memberships.clamp(min=_SMALLEST)).log()
    return (target * logs).sum(1).mean()
