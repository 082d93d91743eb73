"""SGL. Wu et al., "Self-supervised Graph Learning for Recommendation", SIGIR 2021.

https://arxiv.org/abs/2010.10783

Equation: (u, i) = LightGCN(E); y_ui = <u, i>. For each epoch two graphs are drawn from which the share `dropout` of
the edges is left out (`edge`), or all edges of that share of the users and items (`node`), each normalised anew. loss =
BPR + reg_weight * half the squared norm of the batch's layer-0 rows + cl_weight * contrast. With z' and z'' the two
graphs' vectors the contrast is -mean log softmax of cos(z'_u, z''_v) / temperature over all users v at v = u, plus the
same of the batch's positive items over all items.

Deviations: means over the batch in place of sums. The paper's third augmentation, edges drawn anew for each layer, is
left out.

Complexity: O(E L D + B (U + I) D) a step, three propagations of it, plus Adam's O((U + I) D); memory O(B (U + I)).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.distinct import positions
from mrs_pipeline.functional.graphs import bipartite_graph, normalise_symmetric
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, info_nce_among_all, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class SglConfig(LightGcnBackboneConfig):
    """Settings of SGL."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2, 3),
        "cl_weight": (0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
        "dropout": (0.1, 0.2, 0.3, 0.5),
        "temperature": (0.1, 0.2, 0.5),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L on the user-item graph."""
    cl_weight: float = Field(default=0.1, ge=0)
    """Weight of the contrast."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of edges or nodes that a drawn graph lacks."""
    augmentation: Literal["edge", "node"] = "edge"
    """What is left out."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of half the squared norm of the batch's layer-0 rows."""


class Sgl(LightGcnRecommender[SglConfig]):
    """LightGCN with contrast of drawn graphs; see the module."""

    spec = ModelSpec(
        name="sgl",
        title="SGL",
        paper="Wu et al., SIGIR 2021",
        url="https://arxiv.org/abs/2010.10783",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E L D + B (U + I) D)",
    )
    Config = SglConfig

    def __init__(self, config: SglConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._inputs = inputs
        self._views = (self._adjacency, self._adjacency)

    def start_epoch(self) -> None:
        """Draws the two graphs of this epoch."""
        if self.config.dropout > 0 and self.config.cl_weight > 0:
            self._views = (self._drawn(), self._drawn())

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of the whole graph, norm of layer 0, contrast of the drawn graphs."""
        config = self.config
        terms = {
            "bpr": bpr_inner(*pair_rows(*self.representations(), batch)),
            "reg": config.reg_weight
            * squared_norm(*pair_rows(self.user_embedding, self.item_embedding, batch)),
        }
        if config.cl_weight > 0:
            one, other = (self.propagated(view) for view in self._views)
            contrasts = [
                info_nce_among_all(first, second, rows, config.temperature)
                for first, second, rows in zip(one, other, (batch.users, batch.positives), strict=True)
            ]
            terms["contrast"] = config.cl_weight * torch.stack(contrasts).sum()
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """LightGCN on the whole graph, users [U, D] and items [I, D]."""
        return self.propagated()

    def _drawn(self) -> SparseOperator:
        users, items = self._inputs.users, self._inputs.items
        if self.config.augmentation == "edge":
            kept = positions(self._without(len(users)), self._remaining(len(users)))
        else:
            # how many edges are left only the device knows: its host waits, once an epoch
            kept = positions(self._without(self.n_users)[users] & self._without(self.n_items)[items], None)
        graph = bipartite_graph(users[kept], items[kept], self.n_users, self.n_items)
        return SparseOperator.from_csr(normalise_symmetric(graph), symmetric=True)

    def _without(self, n: int) -> Tensor:
        """[n] bool, of which the floor of (1 - dropout) n are true."""
        order = torch.randperm(n, generator=self.generator, device=self.device)
        return order < self._remaining(n)

    def _remaining(self, n: int) -> int:
        return int(n * (1 - self.config.dropout))
