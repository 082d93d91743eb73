"""An item's identifier vector made from its content and that of the items nearest to it (MML)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sparse import Csr, gather_rows
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
        self._graphs = {modality: _without_loops(graph) for modality, graph in graphs.items()}
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
            rows = torch.nonzero(present).flatten()
            if len(rows):
                total = total.index_add(0, rows, self._of_modality(modality, items[rows]))
            count = count + present.unsqueeze(1)
        return total / count.clamp(min=1)

    def knows(self, items: Tensor) -> Tensor:
        """[n] bool: whether the `items` [n] have any modality."""
        return torch.stack([take_rows(mask, items) for mask in self._present.values()]).any(0)

    def _of_modality(self, modality: str, items: Tensor) -> Tensor:
        graph = self._graphs[modality]
        place, neighbours = gather_rows(graph.indptr, graph.indices, items)
        distinct, back = torch.unique(torch.cat([items, neighbours]), return_inverse=True)
        hidden = self.layers[modality](self._features.rows(modality, distinct))
        shares = edge_softmax(
            self.queries[modality](hidden).squeeze(1)[back[len(items) :]], place, len(items)
        )
        own, near = take_rows(hidden, back).tensor_split([len(items)])
        made: Tensor = own.index_add(0, place, shares.unsqueeze(1) * near).relu()
        return made


def _without_loops(graph: Csr) -> Csr:
    rows = graph.row_numbers()
    others = rows != graph.indices
    return Csr.from_pairs(rows[others], graph.indices[others], graph.weights[others], graph.shape)
