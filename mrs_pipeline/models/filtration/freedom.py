"""FREEDOM. Zhou & Shen, "A Tale of Two Graphs", MM 2023.

In full: "Freezing and Denoising Graph Structures for Multimodal Recommendation".
https://arxiv.org/abs/2211.06924

Equation: (e_u, e_i) = LightGCN on a user-item graph of which each epoch keeps a share 1 - dropout of the
edges, drawn with probability proportional to 1 / sqrt(d_u d_i) and normalised again; e_i += S E_item with a
frozen item graph S = sum_m w_m S_m, S_m = normalised binary kNN of modality m; y_ui = <e_u, e_i> on the full
graph; loss = BPR(e) + reg_weight * sum_m BPR(e_u, W_m x^m).

Deviations: any number of modalities (the published mix, image .1 and text .9, where exactly these two are
there, else equal shares unless `modality_weights` says otherwise); an item that lacks a modality passes its
share to the modalities it has, and takes no part in that modality's loss; raw features stay frozen (the
published code fine-tunes them), so only the batch's rows are projected; the projection has no bias, which
would cancel between the two items.

Complexity: O(((1 - dropout) E L + k I) D + B F D) a step, O(E log E) an epoch to prune, plus Adam's
O((U + I) D).
"""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr, bpr_inner
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.interactions import propagation_graph
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, mixed_item_graph
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class FreedomConfig(ItemGraphConfig):
    """Settings of FREEDOM."""

    search_space: ClassVar[SearchSpace] = {"dropout": (0.8, 0.9), "reg_weight": (0.0, 1e-5, 1e-4, 1e-3)}

    dropout: float = Field(default=0.8, ge=0, lt=1)
    """Share of user-item edges left out in an epoch."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the modalities' own ranking losses."""
    modality_weights: Mapping[str, Annotated[float, Field(ge=0)]] = {}
    """Share of each modality in the item graph; empty for the published mix or equal shares."""

    def misfit(self, modalities: Collection[str]) -> str | None:
        """Weights are for all modalities or for none."""
        unknown = sorted(set(self.modality_weights) ^ set(modalities))
        if self.modality_weights and unknown:
            return f"must name exactly {sorted(modalities)} in modality_weights; '{unknown[0]}' does not fit"
        return None


class Freedom(LightGcnRecommender[FreedomConfig]):
    """Frozen item graph, pruned user-item graph; see the module."""

    spec = ModelSpec(
        name="freedom",
        title="FREEDOM",
        paper="Zhou & Shen, MM 2023",
        url="https://arxiv.org/abs/2211.06924",
        cells=frozenset({Cell.FILTRATION, Cell.ITEM_ITEM_GRAPH}),
        complexity="O((E L + k I) D + B F D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = FreedomConfig

    def __init__(self, config: FreedomConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._inputs = inputs
        self._pruned = self._adjacency
        self._edge_weights = _degree_weights(inputs)
        self._item_graph = mixed_item_graph(inputs, config.knn_k, self.spec.name, config.modality_weights)
        self.projections = nn.ModuleDict()
        if config.reg_weight > 0:
            for modality, values in inputs.features.items():
                self.projections[modality] = linear(
                    values.shape[1], config.embedding_size, generator, bias=False
                )
        self._complete = {modality: bool(present.all()) for modality, present in inputs.present.items()}

    def start_epoch(self) -> None:
        """Draws the edges that this epoch keeps."""
        if self.config.dropout == 0:
            return
        inputs = self._inputs
        n_kept = int(len(self._edge_weights) * (1 - self.config.dropout))
        kept = _weighted_sample(self._edge_weights, n_kept, self.generator)
        graph = propagation_graph(inputs, kept)
        self._pruned = SparseOperator.from_csr(normalise_symmetric(graph), symmetric=True)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of the final vectors, and of the users with each modality's projection."""
        user, positives, negatives = pair_rows(*self._propagate(self._pruned), batch)
        terms = {"bpr": bpr_inner(user, positives, negatives)}
        for modality, projection in self.projections.items():
            terms[f"bpr_{modality}"] = self.config.reg_weight * self._modality_loss(
                modality, projection, user, batch
            )
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagation on the full graph."""
        return self._propagate(self._adjacency)

    def _propagate(self, adjacency: SparseOperator) -> tuple[Tensor, Tensor]:
        users, items = self.propagated(adjacency)
        neighbours: Tensor = self.item_embedding
        for _ in range(self.config.n_item_layers):
            neighbours = self._item_graph @ neighbours
        return users, items + neighbours

    def _modality_loss(self, modality: str, projection: nn.Module, user: Tensor, batch: PairBatch) -> Tensor:
        """BPR over the pairs both of whose items have the modality."""
        values, present = self._inputs.features[modality], self._inputs.present[modality]
        positives, negatives, weights = batch.positives, batch.negatives, None
        if not self._complete[modality]:
            usable = marked(take_rows(present, positives) & take_rows(present, negatives))
            if usable.none:
                return user.new_zeros(())
            user, positives, negatives = (usable.take(rows) for rows in (user, positives, negatives))
            weights = usable.weights
        difference = projection(take_rows(values, positives) - take_rows(values, negatives))
        return bpr((user * difference).sum(1), weights)


def _degree_weights(inputs: ModelInputs) -> Tensor:
    """[E] 1 / sqrt(d_u d_i): edges between popular ends are the likelier noise."""
    user_degrees = torch.bincount(inputs.users, minlength=inputs.n_users)
    item_degrees = torch.bincount(inputs.items, minlength=inputs.n_items)
    return (user_degrees[inputs.users] * item_degrees[inputs.items]).float().rsqrt()


def _weighted_sample(weights: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """[n] distinct positions, drawn one after another with probability proportional to `weights` [E].

    The n smallest of independent exponential clocks with these rates are such a sample (Efraimidis &
    Spirakis, 2006); unlike `torch.multinomial` this has no limit on E.
    """
    clocks = torch.empty_like(weights).exponential_(generator=generator) / weights
    return torch.topk(clocks, n, largest=False).indices.sort().values
