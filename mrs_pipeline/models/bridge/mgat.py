"""MGAT. Tao et al., "MGAT: Multimodal Graph Attention Network for Recommendation", IPM 2020.

https://doi.org/10.1016/j.ipm.2020.102277

Equation: for each modality m a graph network of its own, x = unit([P^m; tanh(W_m x^m + b_m)]) with users' preferences
P^m. L times z = x V; s_ij = <z_i, LeakyReLU(z_j)>, gate g_ij = sigmoid(s_ij / sqrt(d_j)) with d_j the degree of the
neighbour, a_ij = softmax over i's neighbours j of s_ij g_ij, h_i = unit(sum_j a_ij z_j + c);
x <- LeakyReLU(G LeakyReLU(h) + g + LeakyReLU(H x + h') + e) with identifiers e that all modalities and layers share.
The vectors are the mean over the modalities of [x^(1); ..; x^(L)], y_ui = <x_u, x_i>; loss = -mean log2
sigmoid(y_ui - y_uj) + reg_weight * half the squared norm of all parameters.

Deviations: the published code returns before its second layer, `n_layers: 1` is that; it scores with the vectors of
the last training batch, here with those of the parameters as they are. Its widths of P^m are 256, 128 and 100 by
modality; here `content_size`, or the features' own width where that is smaller. Its loss is a sum with Adam's weight
decay of .1, which for its batches of 2048 is `reg_weight` 5e-5 of the mean; its learning rate is 3e-5, here 1e-3. An
item that lacks a modality has a learned vector in place of W_m x^m + b_m; identifiers of items never seen in training
are zero, so that cold items are ranked by content alone. Its figures come from 1000 sampled negatives and compare
with nothing here.

Complexity: O(M L (E D + N D^2)) a step; memory O(M L N D + E).
"""

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.graphs import bipartite_graph
from mrs_pipeline.functional.kernels.edges import EdgePattern, edge_scores, edge_sums
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.losses import bpr_inner
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MgatConfig(GradientConfig):
    """Settings of MGAT."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-2, 1e-3, 3e-4),
        "reg_weight": (0.0, 1e-6, 1e-5, 5e-5),
        "n_layers": (1, 2),
    }

    n_layers: int = Field(default=2, ge=1, le=8)
    """Attention layers L of each modality."""
    content_size: int = Field(default=128, ge=1, le=4096)
    """Width of preferences and projected content, at most."""
    reg_weight: float = Field(default=5e-5, ge=0)
    """Weight of half the squared norm of all parameters."""


class Mgat(IdentifierRecommender[MgatConfig]):
    """Gated attention on the user-item graph, a network a modality; see the module."""

    spec = ModelSpec(
        name="mgat",
        title="MGAT",
        paper="Tao et al., IPM 2020",
        url="https://doi.org/10.1016/j.ipm.2020.102277",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.FINE_ATTENTION}),
        complexity="O(M L (E D + N D^2))",
        features=FeatureUse.REQUIRED,
    )
    Config = MgatConfig

    def __init__(self, config: MgatConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        graph = bipartite_graph(inputs.users, inputs.items, inputs.n_users, inputs.n_items)
        self._edges = _Edges(graph.indptr.diff().float(), EdgePattern.from_csr(graph))
        self.content, self.preferences = nn.ModuleDict(), nn.ParameterDict()
        self.layers = nn.ModuleDict()
        for modality, values in inputs.features.items():
            width = min(values.shape[1], config.content_size)
            self.content[modality] = ModalityProjection(inputs.only(modality), width, generator)
            self.preferences[modality] = embedding(inputs.users_seen(), width, generator)
            widths = [width, *[config.embedding_size] * (config.n_layers - 1)]
            self.layers[modality] = nn.ModuleList(
                _GatedLayer(each, config.embedding_size, generator) for each in widths
            )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR in bits and the decay."""
        squares = torch.stack([p.square().sum() for p in self.parameters()]).sum()
        return {
            "bpr": bpr_inner(*pair_rows(*self.representations(), batch)) / math.log(2),
            "reg": self.config.reg_weight / 2 * squares,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The modalities' mean, layers side by side."""
        views = [torch.cat(list(self._layers(modality)), dim=1) for modality in self.layers]
        users, items = torch.stack(views).mean(0).split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _layers(self, modality: str) -> Iterator[Tensor]:
        identifiers = torch.cat([self.user_embedding, self.item_embedding])
        content = torch.tanh(self.content[modality]()[modality])
        x = unit_rows(torch.cat([self.preferences[modality], content]))
        layers: list[nn.Module] = list(self.layers[modality].children())
        for layer in layers:
            x = layer(self._edges, x, identifiers)
            yield x


class _Edges:
    """The user-item graph with 1 / sqrt of the degree at the far end of each edge."""

    def __init__(self, degrees: Tensor, pattern: EdgePattern) -> None:
        self.pattern = pattern
        self.scale = degrees[pattern.graph.indices.long()].rsqrt()


class _GatedLayer(nn.Module):
    """One layer of gated attention."""

    def __init__(self, width: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.message = linear(width, width, generator, bias=False)
        self.offset = nn.Parameter(torch.zeros(width, device=generator.device))
        self.join = linear(width, size, generator)
        self.self_loop = linear(width, size, generator)

    def forward(self, edges: _Edges, x: Tensor, identifiers: Tensor) -> Tensor:
        """[N, size] from x [N, width] and identifiers [N, size]."""
        pattern = edges.pattern
        z = self.message(x)
        scores = edge_scores(pattern, z, leaky_relu(z))
        gated = scores * torch.sigmoid(scores * edges.scale)
        shares = edge_softmax(gated, pattern.rows, len(x))
        heard = unit_rows(edge_sums(pattern, self.offset.expand_as(z), shares, z))
        own = leaky_relu(self.self_loop(x)) + identifiers
        return leaky_relu(self.join(leaky_relu(heard)) + own)
