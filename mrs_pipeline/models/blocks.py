"""Modules and initialisers that models share. A formula without parameters belongs in `functional`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import bipartite_graph, normalise_symmetric
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr, gather_rows
from mrs_pipeline.models.base import ModelInputs, PairBatch, Scorer


def embedding(seen: Tensor, size: int, generator: torch.Generator) -> nn.Parameter:
    """A table [n, size] of identifier vectors, Xavier-normal; rows not `seen` [n] in training are zero.

    A row without a training interaction gets no gradient. Left random it would add noise to the scores of
    cold users and items; at zero it says nothing, and what is known from features or neighbours speaks alone.
    """
    table = torch.empty(len(seen), size, device=generator.device)
    nn.init.xavier_normal_(table, generator=generator)
    return nn.Parameter(table * seen.unsqueeze(1))


def linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier-normal weights drawn from `generator`, and zero bias if it has one."""
    layer = nn.Linear(inputs, outputs, bias=bias, device=generator.device)
    nn.init.xavier_normal_(layer.weight, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def user_item_operator(inputs: ModelInputs) -> SparseOperator:
    """The normalised user-item adjacency [N, N] of the training pairs."""
    graph = bipartite_graph(inputs.users, inputs.items, inputs.n_users, inputs.n_items)
    return SparseOperator.from_csr(normalise_symmetric(graph), symmetric=True)


def pair_rows(users: Tensor, items: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Rows [B, D] of the batch's users, positives and negatives; both kinds of items in one gather."""
    both = take_rows(items, torch.cat([batch.positives, batch.negatives]))
    positives, negatives = both.chunk(2)
    return take_rows(users, batch.users), positives, negatives


def numbered_parts(users: Tensor, items: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Factors [U, K, d] and [I, K, d] as `HasParts.parts` gives them: factor 1, factor 2, ..."""
    pairs = zip(users.unbind(1), items.unbind(1), strict=True)
    return {f"factor {number}": pair for number, pair in enumerate(pairs, 1)}


def history(inputs: ModelInputs) -> Csr:
    """The training interactions as a matrix of ones [U, I]."""
    ones = torch.ones(len(inputs.users), device=inputs.device)
    return Csr.from_pairs(inputs.users, inputs.items, ones, (inputs.n_users, inputs.n_items))


def history_scorer(rows: Csr, item_weights: Tensor) -> Scorer:
    """Scores of a linear item-item model: a row of `rows` [U, I] times `item_weights` [I, I], any layout."""

    def score(users: Tensor) -> Tensor:
        position, items = gather_rows(rows.indptr, rows.indices, users)
        ones = torch.ones(len(items), device=items.device)
        batch = Csr.from_pairs(position, items, ones, (len(users), rows.shape[1])).tensor()
        product = torch.mm(batch, item_weights)
        return product if product.layout is torch.strided else product.to_dense()

    return score


class ModalityProjection(nn.Module):
    """Each modality's raw features projected to the embedding size: W_m x_i^m + b_m.

    Where an item lacks the modality it gets a learned vector of that modality instead, so that "not known" is
    never mistaken for "all features are zero". Raw features stay frozen and are projected for the rows asked
    for.
    """

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.features: Mapping[str, Tensor] = inputs.features
        self.present: Mapping[str, Tensor] = inputs.present
        self.layers = nn.ModuleDict()
        self.missing = nn.ParameterDict()
        for modality, values in inputs.features.items():
            self.layers[modality] = linear(values.shape[1], size, generator)
            if not bool(inputs.present[modality].all()):
                start = torch.empty(1, size, device=generator.device)
                nn.init.xavier_normal_(start, generator=generator)
                self.missing[modality] = nn.Parameter(start[0])

    def forward(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Modality -> [B, D] for `items` [B] int64, or [I, D] for all items."""
        projected: dict[str, Tensor] = {}
        for modality, layer in self.layers.items():
            values, present = self.features[modality], self.present[modality]
            if items is not None:
                values, present = take_rows(values, items), take_rows(present, items)
            rows = layer(values)
            if modality in self.missing:
                rows = torch.where(present.unsqueeze(1), rows, self.missing[modality])
            projected[modality] = rows
        return projected
