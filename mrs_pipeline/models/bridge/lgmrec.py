"""LGMRec. Guo et al., "LGMRec: Local and Global Graph Learning for Multimodal Recommendation", AAAI 2024.

https://arxiv.org/abs/2312.16400

Equation: behaviour c = LightGCN(E). Content f_i^m = T_m x_i^m, f_u^m = mean of f^m over u's items, both spread
`n_content_layers` times over the normalised user-item graph: v^m. local = c + sum_m unit(v^m). Each modality has K
hyperedges; items belong to them by H_i^m = softmax((V_m x_i^m) / t), users by H_u^m = softmax((R V_m x^m)_u / t),
R the interactions; `n_hyper_layers` times l = H_i' q, q = H_i l, p = H_u l, from q = c_i. global = sum_m [p^m; q^m];
e = local + global_weight unit(global); y_ui = <e_u, e_i>; loss = BPR + reg_weight * sum of the norms of the batch's e
/ B + cl_weight * sum over pairs of modalities (-log softmax_j cos(p_u^m, p_j^m') / t_c at j = u, over all users j and
the batch's u; the same for its positive items over all items).

In training Gumbel noise is added to what the softmax of H is of, and entries of H are dropped.

Deviations: the published code draws Gumbel noise when it scores too, so that its scores are random; here they are
not. Its contrast is a sum over the batch of weight 1e-4, here a mean whose weight is larger by the 2048 rows of its
batch. Any number of modalities; an item that lacks one, and a user none of whose items has it, belongs to no hyperedge
of it and has no v^m of it. With one modality there is no contrast.

Complexity: O((E (L + M) + (U + I) K M) D + I F D + B (U + I) D M^2) a step.
"""

from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm, info_nce_among_all
from mrs_pipeline.functional.noise import gumbel
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class LgmRecConfig(LightGcnBackboneConfig):
    """Settings of LGMRec."""

    search_space: ClassVar[SearchSpace] = {
        "global_weight": (0.1, 0.2, 0.3, 0.6),
        "cl_weight": (0.002, 0.02, 0.2),
        "n_hyperedges": (4, 16, 64),
    }

    n_content_layers: int = Field(default=2, ge=0, le=8)
    """Propagation steps of content on the user-item graph."""
    n_hyper_layers: int = Field(default=1, ge=1, le=8)
    """Steps over the hyperedges."""
    n_hyperedges: int = Field(default=4, ge=1, le=1024)
    """Hyperedges K of each modality."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the softmax that assigns nodes to hyperedges."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the assignments dropped in training."""
    global_weight: float = Field(default=0.3, gt=0)
    """Weight of what comes over the hyperedges."""
    cl_weight: float = Field(default=0.2, ge=0)
    """Weight of the contrast between modalities."""
    cl_temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-6, ge=0)
    """Weight of the embedding norm."""


class LgmRec(LightGcnRecommender[LgmRecConfig]):
    """Local graphs and global hyperedges; see the module."""

    spec = ModelSpec(
        name="lgmrec",
        title="LGMRec",
        paper="Guo et al., AAAI 2024",
        url="https://arxiv.org/abs/2312.16400",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.CONTRASTIVE}),
        complexity="O((E (L + M) + (U + I) K M) D + I F D + B (U + I) D M^2)",
        features=FeatureUse.REQUIRED,
    )
    Config = LgmRecConfig

    def __init__(self, config: LgmRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        ratings = interaction_matrix(inputs)
        self._features = inputs.features
        self._sum_of_items = SparseOperator.from_csr(ratings)
        self._item_has = {name: mask.to(ratings.weights.dtype) for name, mask in inputs.present.items()}
        self._user_counts = {
            name: self._sum_of_items @ mask.unsqueeze(1) for name, mask in self._item_has.items()
        }
        self.content, self.hyperedges = nn.ModuleDict(), nn.ModuleDict()
        for modality, values in inputs.features.items():
            width = values.shape[1]
            self.content[modality] = linear(width, config.embedding_size, generator, bias=False)
            self.hyperedges[modality] = linear(width, config.n_hyperedges, generator, bias=False)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors, contrast of the modalities' global vectors."""
        config = self.config
        behaviour = self.propagated()
        shared = self._global_views(behaviour[1])
        rows = pair_rows(*self._final(behaviour, shared), batch)
        terms = {"bpr": bpr_inner(*rows), "reg": config.reg_weight * embedding_norm(*rows)}
        contrasts = [
            info_nce_among_all(one, other, nodes, config.cl_temperature)
            for pair in combinations(shared, 2)
            for one, other, nodes in zip(*pair, (batch.users, batch.positives), strict=True)
        ]
        if contrasts:
            terms["contrast"] = config.cl_weight * torch.stack(contrasts).sum()
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Local plus global vectors, users [U, D] and items [I, D]."""
        behaviour = self.propagated()
        return self._final(behaviour, self._global_views(behaviour[1]))

    def _final(
        self, behaviour: tuple[Tensor, Tensor], shared: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        nodes = torch.cat(behaviour)
        for modality in self.content:
            nodes = nodes + unit_rows(self._content_view(modality))
        total = torch.stack([torch.cat(views) for views in shared]).sum(0)
        nodes = nodes + self.config.global_weight * unit_rows(total)
        users, items = nodes.split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _content_view(self, modality: str) -> Tensor:
        """v^m [N, D]."""
        items = self.content[modality](self._features[modality])
        users = (self._sum_of_items @ items) / self._user_counts[modality].clamp(min=1)
        nodes = torch.cat([users, items])
        for _ in range(self.config.n_content_layers):
            nodes = self._adjacency @ nodes
        return nodes

    def _global_views(self, items: Tensor) -> list[tuple[Tensor, Tensor]]:
        """p^m [U, D] and q^m [I, D] of each modality, from the items' c [I, D]."""
        views = []
        for modality, layer in self.hyperedges.items():
            logits = layer(self._features[modality])
            of_items = self._memberships(logits, self._item_has[modality].unsqueeze(1))
            of_users = self._memberships(self._sum_of_items @ logits, self._user_counts[modality] > 0)
            found = items
            for _ in range(self.config.n_hyper_layers):
                edges = of_items.T @ found
                found = of_items @ edges
            views.append((of_users @ edges, found))
        return views

    def _memberships(self, logits: Tensor, known: Tensor) -> Tensor:
        """H [n, K] of logits [n, K]; zero where nothing is `known` [n, 1]."""
        if not self.training:
            return torch.softmax(logits / self.config.temperature, dim=1) * known
        noisy = (logits + gumbel(logits, self.generator)) / self.config.temperature
        return dropout(torch.softmax(noisy, dim=1) * known, self.config.dropout, self.generator)
