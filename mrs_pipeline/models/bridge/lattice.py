"""LATTICE. Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021.

https://arxiv.org/abs/2104.09036

Equation: S_m = kNN of raw features x_m, normalised D^-1/2 S D^-1/2; T_m = kNN of f_m = W_m x_m + b_m, cosine
weights; w = softmax over modalities of learned logits; S = (1 - original_share) norm(sum_m w_m T_m) +
original_share sum_m w_m S_m; h = S^L E_item. (e_u, e_i) = mean of layers of D^-1 (A + I) on the user-item
graph; e_i += h_i / |h_i|; y_ui = <e_u, e_i>; loss = BPR + reg_weight * half the squared norm of the batch's e.

As published, the learned graph is built at the first step of an epoch and constant after it, so that W, b
and w learn from that step; scores use the graph of the parameters as they are.

Deviations: any number of modalities; an item that lacks one passes its share to those it has, an item
without any has h = 0. The published code fills dense I x I matrices; here neighbours are found block by
block without gradient and only their cosines computed with it, all graphs are sparse, and no cosine below
zero stays in them. Raw features stay frozen (published: fine-tuned, at the same one step an epoch) and the
learning rate constant (published: times .96 every 50 epochs).

Complexity: O((E L + k I M) D) a step; an epoch O(I^2 M D) time for the neighbours, in memory O(k I M + I F).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.graphs import mix, normalise_symmetric
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.latent_structure import LatentStructureConfig, LatentStructureRecommender
from mrs_pipeline.models.layers.learned_graphs import blend
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class LatticeConfig(LatentStructureConfig):
    """Settings of LATTICE."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 5e-4, 1e-3, 5e-3),
        "reg_weight": (0.0, 1e-5, 1e-4, 1e-3),
    }

    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Lattice(LatentStructureRecommender[LatticeConfig]):
    """A learned item graph beside the user-item graph; see the module."""

    spec = ModelSpec(
        name="lattice",
        title="LATTICE",
        paper="Zhang et al., MM 2021",
        url="https://arxiv.org/abs/2104.09036",
        cells=frozenset({Cell.ITEM_ITEM_GRAPH}),
        complexity="O((E L + k I M) D) + O(I^2 M D) an epoch",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = LatticeConfig

    def __init__(self, config: LatticeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.modality_logits = nn.Parameter(torch.zeros(len(self.originals), device=inputs.device))

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors."""
        (latent,) = self.graphs.products(self.item_embedding, self.config.n_item_layers)
        rows = pair_rows(*self._final(latent), batch)
        return {"bpr": bpr_inner(*rows), "reg": self.config.reg_weight * squared_norm(*rows)}

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors, items with their latent structure, users [U, D] and items [I, D]."""
        (latent,) = self.graphs.current_products(self.item_embedding, self.config.n_item_layers)
        return self._final(latent)

    def structures(self) -> list[Csr]:
        """S, the one graph of this model."""
        logits = self.modality_logits.expand(self.n_items, -1)
        shares = list(masked_softmax(logits, self.has).unbind(1))
        learned = normalise_symmetric(mix(list(self.neighbours().values()), shares))
        return [blend(learned, mix(list(self.originals.values()), shares), self.config.original_share)]

    def _final(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        users, items = self.propagated()
        return users, items + normalize(latent, dim=1)
