"""MICRO. Zhang et al., "Latent Structure Mining with Contrastive Modality Fusion", TKDE 2022.

In full: "Latent Structure Mining With Contrastive Modality Fusion for Multimedia Recommendation".
https://arxiv.org/abs/2111.00678

Equation: for each modality S_m = (1 - original_share) norm(kNN(W_m x_m + b_m)) + original_share
norm(kNN(x_m)), cosine weights, norm = D^-1/2 S D^-1/2; h_m = S_m^L E_item; a = softmax_m q' tanh(W h_m + b);
h = sum_m a_m h_m. (e_u, e_i) = mean of layers of D^-1 (A + I) on the user-item graph; e_i += h_i / |h_i|;
y_ui = <e_u, e_i>; loss = BPR + reg_weight * half the squared norm of the batch's e + cl_weight * sum_m
GRACE(h_m, h). As published, learned graphs are built at the first step of an epoch and constant after it;
scores use those of the parameters as they are.

Deviations: any number of modalities; an item that lacks one leaves it out of attention and of its contrast,
an item without any has h = 0. The contrast is over the batch's positive items, each once (the published code
sets all items against all at every step, O(I^2 D)). Raw features stay frozen (published: fine-tuned, at one
step an epoch), the learning rate constant (published: times .96 every 50 epochs), and no cosine below zero
stays in a graph.

Complexity: O((E L + k I M) D + B^2 M D) a step; an epoch O(I^2 M D) time for the neighbours, in memory
O(k I M + I F).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, grace, squared_norm
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.latent_structure import LatentStructureConfig, LatentStructureRecommender
from mrs_pipeline.models.layers.learned_graphs import blend
from mrs_pipeline.models.layers.modality_attention import ViewAttention
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MicroConfig(LatentStructureConfig):
    """Settings of MICRO."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 5e-4, 1e-3, 5e-3),
        "cl_weight": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    }

    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the batch's vectors."""
    cl_weight: float = Field(default=0.03, ge=0)
    """Weight of the contrast between modalities and their fusion."""
    temperature: float = Field(default=0.5, gt=0)
    """Of the contrast's softmax."""


class Micro(LatentStructureRecommender[MicroConfig]):
    """Learned item graphs of each modality, fused by attention and contrast; see the module."""

    spec = ModelSpec(
        name="micro",
        title="MICRO",
        paper="Zhang et al., TKDE 2022",
        url="https://arxiv.org/abs/2111.00678",
        cells=frozenset({Cell.ITEM_ITEM_GRAPH, Cell.CONTRASTIVE}),
        complexity="O((E L + k I M) D + B^2 M D) + O(I^2 M D) an epoch",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = MicroConfig

    def __init__(self, config: MicroConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.attention = ViewAttention(config.embedding_size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors; contrast of each modality's view with their fusion."""
        rows = DistinctRows.of(batch)
        views = self.graphs.products(self.item_embedding, self.config.n_item_layers)
        stacked = torch.stack([take_rows(view, rows.items) for view in views], dim=1)
        has = take_rows(self.has, rows.items)
        fused = self._fused(stacked, has)
        users, items = self.propagated()
        final = rows.pair_rows(
            take_rows(users, rows.users), take_rows(items, rows.items) + normalize(fused, dim=1)
        )
        return {
            "bpr": bpr_inner(*final),
            "reg": self.config.reg_weight * squared_norm(*final),
            "contrast": self.config.cl_weight * self._contrast(stacked, fused, rows.positive_counts, has),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors, items with their latent structure, users [U, D] and items [I, D]."""
        views = self.graphs.current_products(self.item_embedding, self.config.n_item_layers)
        users, items = self.propagated()
        return users, items + normalize(self._fused(torch.stack(views, dim=1), self.has), dim=1)

    def _fused(self, views: Tensor, has: Tensor) -> Tensor:
        """Fused views h [n, D] of h_m [n, M, D]."""
        return torch.einsum("nm,nmd->nd", self.attention(views, has), views)

    def _contrast(self, views: Tensor, fused: Tensor, counts: Tensor, has: Tensor) -> Tensor:
        """Sum over modalities of GRACE(h_m, h) on the positive items that have it."""
        terms = [fused.new_zeros(())]
        for number in range(views.shape[1]):
            having = marked((counts > 0) & has[:, number])
            if not having.none:
                one, other = having.take(views[:, number]), having.take(fused)
                terms.append(grace(one, other, self.config.temperature, having.weights))
        return torch.stack(terms).sum()

    def structures(self) -> list[Csr]:
        """S_m, one for each modality."""
        return [
            blend(normalise_symmetric(graph), self.originals[name], self.config.original_share)
            for name, graph in self.neighbours().items()
        ]
