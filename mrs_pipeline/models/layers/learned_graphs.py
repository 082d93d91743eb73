"""Item graphs that training learns: neighbours of projected features, chosen without and weighed with gradient."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.graphs import cosine_neighbours, mix
from mrs_pipeline.functional.kernels.edge_products import edge_product, edge_similarities
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear


class LearnedNeighbours(nn.Module):
    """The k nearest neighbours of W_m x + b_m in each modality, with their cosines, differentiable in W and b.

    Which neighbours these are is found block by block, in memory O(I k), and found again only when W or b has
    changed: the graph that a validation needed is the one the next epoch starts with.

    Args:
        inputs: gives the features.
        graphs: modality -> item graph of the raw features; an item without a row there gets none here.
        size: width of the projections.
        k: neighbours of an item, itself among them.
        generator: of the first weights.
    """

    def __init__(
        self, inputs: ModelInputs, graphs: Mapping[str, Csr], size: int, k: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._k = k
        self._items = {
            name: torch.nonzero(graph.indptr.diff() > 0).flatten() for name, graph in graphs.items()
        }
        self._values = {name: _taken(inputs.features[name], rows) for name, rows in self._items.items()}
        self._known: dict[str, tuple[Tensor, Csr]] = {}
        self._n_items = inputs.n_items
        self.layers = nn.ModuleDict()
        for name in graphs:
            self.layers[name] = linear(inputs.features[name].shape[1], size, generator)

    def forward(self) -> dict[str, Csr]:
        """Modality -> graph [I, I] of cosines, none below zero."""
        return {name: self._graph(name, layer) for name, layer in self.layers.items()}

    def _graph(self, name: str, layer: nn.Module) -> Csr:
        items = self._items[name]
        unit = normalize(layer(self._values[name]), dim=1)
        pattern = self._pattern(name, layer, unit.detach())
        cosines = edge_similarities(pattern, unit).clamp(min=0)
        counts = torch.zeros(self._n_items + 1, dtype=torch.int32, device=items.device)
        counts[items + 1] = pattern.indptr.diff()
        columns = items[pattern.indices.long()].int()
        indptr = counts.cumsum(0, dtype=torch.int32)
        return Csr(indptr, columns, cosines, (self._n_items, self._n_items))

    def _pattern(self, name: str, layer: nn.Module, unit: Tensor) -> Csr:
        """Who is whose neighbour among the items that have the modality."""
        now = torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])
        if name in self._known and torch.equal(self._known[name][0], now):
            return self._known[name][1]
        n, k = len(unit), min(self._k, len(unit))
        columns, cosines = cosine_neighbours(unit, k)
        indptr = torch.arange(n + 1, dtype=torch.int32, device=unit.device) * k
        pattern = Csr(indptr, columns.flatten().int(), cosines.flatten(), (n, n))
        self._known[name] = now, pattern
        return pattern


def _taken(values: Tensor, rows: Tensor) -> Tensor:
    return values if len(rows) == len(values) else take_rows(values, rows)


class EpochGraphs:
    """Products with graphs that are built when an epoch starts, with gradient at its first step, and then stay.

    Args:
        build: makes the graphs from a model's parameters as they are now.
    """

    def __init__(self, build: Callable[[], list[Csr]]) -> None:
        self._build = build
        self._graphs: list[Csr] | None = None
        self._operators: list[SparseOperator] | None = None

    def renew(self) -> None:
        """To be called when an epoch starts: how many edges there are is asked of the device here, not in a step."""
        self._graphs, self._operators = self._build(), None

    def products(self, dense: Tensor, n_layers: int) -> list[Tensor]:
        """S^n_layers times `dense` for each graph S, for training."""
        if self._operators is not None:
            return [_power(operator, dense, n_layers) for operator in self._operators]
        graphs = self._build() if self._graphs is None else self._graphs
        self._graphs, self._operators = None, [_operator(graph) for graph in graphs]
        results = []
        for graph, operator in zip(graphs, self._operators, strict=True):
            x = dense
            for _ in range(n_layers):
                x = edge_product(graph, operator, x)
            results.append(x)
        return results

    def current_products(self, dense: Tensor, n_layers: int) -> list[Tensor]:
        """The same with the graphs of the parameters as they are now, for scoring."""
        with torch.no_grad():
            return [_power(_operator(graph), dense, n_layers) for graph in self._build()]


def _power(operator: SparseOperator, x: Tensor, n_layers: int) -> Tensor:
    for _ in range(n_layers):
        x = operator @ x
    return x


def _operator(graph: Csr) -> SparseOperator:
    return SparseOperator.from_csr(graph.with_weights(graph.weights.detach()))


def blend(learned: Csr, original: Csr, share: float) -> Csr:
    """(1 - share) * learned + share * original."""
    ones = torch.ones(learned.shape[0], device=learned.weights.device)
    return mix([learned, original], [(1 - share) * ones, share * ones])
