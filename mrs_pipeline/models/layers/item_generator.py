"""An item's identifier vector made from its content and that of the items nearest to it (MML)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct, marked
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_features import StandardFeatures


class ItemGenerator(nn.Module):
    """e_i = mean over the modalities m that i has of ReLU(h_i + sum_n a_n h_n), h = W_m x~^m.

    n are the neighbours of i in the modality's graph, a = softmax_n <w_m, h_n>. An item without any modality gets zero.
    """

    def __init__(
        self, inputs: ModelInputs, graphs: Mapping[str, Csr], size: int, generator: torch.Generator
    ) -> None:
        """Neighbours are those of `graphs` (modality -> [I, I]), the item itself left out."""
        super().__init__()
        self._size, self._present = size, inputs.present
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._neighbours = {modality: _other_items(graph) for modality, graph in graphs.items()}
        self.layers = nn.ModuleDict()
        self.queries = nn.ModuleDict()
        for modality, values in inputs.features.items():
            self.layers[modality] = linear(values.shape[1], size, generator, bias=False)
            self.queries[modality] = linear(size, 1, generator, bias=False)

    def forward(self, items: Tensor) -> Tensor:
        """[n, D] of `items` [n] int64."""
        total = torch.zeros(len(items), self._size, device=items.device)
        count = torch.zeros(len(items), 1, device=items.device)
        for modality, mask in self._present.items():
            present = take_rows(mask, items)
            having = marked(present)
            if not having.none:
                made = self._of_modality(modality, having.take(items)).to(total.dtype)
                if having.weights is not None:
                    made = made * having.weights.unsqueeze(1)
                total = total + made if having.rows is None else total.index_add(0, having.rows, made)
            count = count + present.unsqueeze(1)
        return total / count.clamp(min=1)

    def knows(self, items: Tensor) -> Tensor:
        """[n] bool: whether the `items` [n] have any modality."""
        return torch.stack([take_rows(mask, items) for mask in self._present.values()]).any(0)

    def _of_modality(self, modality: str, items: Tensor) -> Tensor:
        neighbours = take_rows(self._neighbours[modality], items)
        there = neighbours >= 0
        # what only fills a row up is looked up as the item itself and has no share
        named = torch.where(there, neighbours, items.unsqueeze(1))
        each, place = distinct(torch.cat([items.unsqueeze(1), named], dim=1))
        hidden = self.layers[modality](self._features.rows(modality, each))
        scores = take_rows(self.queries[modality](hidden).squeeze(1), place[:, 1:].flatten())
        scores = scores.view(there.shape).masked_fill(~there, -torch.inf)
        shares = torch.where(there.any(1, keepdim=True), scores, 0.0).softmax(1) * there
        near = take_rows(hidden, place[:, 1:].flatten()).view(*there.shape, -1)
        made: Tensor = (take_rows(hidden, place[:, 0]) + (shares.unsqueeze(2) * near).sum(1)).relu()
        return made


def _other_items(graph: Csr) -> Tensor:
    """[I, k] int64 the neighbours of each item, itself left out; -1 where it has fewer than k."""
    rows, columns = graph.row_numbers(), graph.indices.long()
    kept = rows != columns
    counts = torch.bincount(rows[kept], minlength=graph.shape[0])
    first = counts.cumsum(0) - counts
    places = torch.arange(len(rows[kept]), device=rows.device) - first[rows[kept]]
    table = torch.full((graph.shape[0], int(counts.max())), -1, device=rows.device)
    table[rows[kept], places] = columns[kept]
    return table
