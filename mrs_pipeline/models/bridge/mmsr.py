"""MMSR, of the latest items. Hu et al., "Adaptive Multi-Modalities Fusion in Sequential ...", CIKM 2023.

In full: "Adaptive Multi-Modalities Fusion in Sequential Recommendation Systems". https://arxiv.org/abs/2308.15980

Equation: the standardised content of each modality falls into clusters; an item has `each` nearest ones. The latest
n_latest items of a history and their clusters are the nodes of a graph (`layers.session_graphs`); h = W[vector ||
mean vector of its places || vector of its kind]. V = h W_V, one map for each kind of nodes, as W_Q and W_K. Among nodes
of a kind A(x) = softmax leaky(a_r' (x_i * x_j)) over the relations r: itself, before, after, both; across kinds B(x) =
softmax leaky((x W_Q)(x W_K)' / sqrt(D)) over the node itself and those of other kinds at its places. Fusion in both
orders, with weights that are made anew and values that are not: f_1 = B(A(V) V) V, f_2 = A(B(h) V) V; h = sum_o
softmax_o(MLP f_o) f_o, n_layers times. y_{t,j} = <h of the latest item, v_j>, v_j = e_j + sum_m the mean of its
clusters' vectors; loss = softmax cross-entropy of the next item at every position.

Deviations: each position of a history has a graph of its own, of its latest items; published is one graph of a whole
session, and one target. Candidates have their clusters' vectors too (published: e_j alone, an option of the code adds
them), so that cold items are ranked. Clusters are those of `layers.content_clusters`, their vectors learned from
Xavier (published: begun from the centres, reduced to D numbers). The start token is an item without content, and an
item that lacks a modality has no clusters of it. Corrected: in the published code keys and values are copies of the
queries, and the weights of B do not see what A gave. Products are scaled.

Complexity: O(B (N D^2 + N^2 (D + n)) L + B I D) a step for B positions, N = n (1 + M each) nodes of n latest items;
memory O(B N (N + D) L).
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_clusters import NONE, content_clusters
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import SequenceConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear, xavier
from mrs_pipeline.models.layers.parts import IDENTIFIER
from mrs_pipeline.models.layers.session_graphs import SessionGraph, session_graph
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_LEAK = 0.1
"""Of the leaky rectifier."""
_SESSIONS_AT_ONCE = 256
"""Histories whose graphs stand in memory together when scoring."""


class MmsrConfig(SequenceConfig):
    """Settings of MMSR."""

    search_space: ClassVar[SearchSpace] = {
        **SequenceConfig.search_space,
        "n_latest": (4, 6, 10),
        "n_clusters": (20, 50, 200),
        "each": (1, 2, 4),
    }

    n_layers: int = Field(default=1, ge=1, le=16)
    """Rounds of fusion."""
    n_latest: int = Field(default=6, ge=1, le=100)
    """Latest tokens n of a history that are a graph."""
    n_clusters: int = Field(default=20, ge=1, le=100_000)
    """Clusters of each modality."""
    each: int = Field(default=2, ge=1, le=100)
    """Clusters of an item in each modality."""


class Mmsr(SequenceRecommender[MmsrConfig]):
    """Attention over a graph of the latest items and of what their content falls into; see the module."""

    spec = ModelSpec(
        name="mmsr",
        title="MMSR (of the latest items)",
        paper="Hu et al., CIKM 2023",
        url="https://arxiv.org/abs/2308.15980",
        cells=frozenset({Cell.ITEM_ITEM_GRAPH, Cell.COMBINED_ATTENTION}),
        complexity="O(B (N D^2 + N^2 (D + n)) L + B I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
        clusters=True,
    )
    Config = MmsrConfig

    def __init__(self, config: MmsrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, kinds = config.embedding_size, 1 + len(inputs.features)
        self.projection = None
        self.make_start([IDENTIFIER], size)
        self._clusters, vectors = {}, {}
        for name in inputs.features:
            found = content_clusters(inputs, name, config.n_clusters, config.each)
            # two rows more, of the start token and of padding
            self._clusters[name] = pad(found, (0, 0, 0, 2), value=NONE)
            vectors[name] = nn.Parameter(xavier((config.n_clusters, size), generator))
        self.clusters = nn.ParameterDict(vectors)
        self.positions = position_embedding(config.n_latest, size, generator)
        self.kinds = nn.Parameter(xavier((kinds, size), generator))
        self.join = linear(3 * size, size, generator, bias=False)
        self.rounds = nn.ModuleList(
            _Round(size, kinds, generator, last=number == config.n_layers - 1)
            for number in range(config.n_layers)
        )

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Cross-entropy of the next item at every position, each with a graph of its own."""
        tokens, targets = self.within_length(batch)
        asked = self.asked(targets, batch)
        wanted = take_rows(targets.flatten(), asked)
        negatives = self._draw_negatives()
        items = self._items_of_step(tokens, wanted, negatives)
        parts = self.item_parts(items)
        n = self.config.n_latest
        sessions = pad(tokens, (n - 1, 0), value=PAD).unfold(1, n, 1).flatten(0, 1)
        sessions = sessions.index_select(0, asked)
        rows = self.parts_of_tokens({IDENTIFIER: parts[IDENTIFIER]}, items, sessions)[IDENTIFIER]
        states = self._after(rows, sessions)
        return {
            "next_item": self.softmax_term(states, self.candidate_vectors(parts), items, wanted, negatives)
        }

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier, and the mean vector of the clusters of each modality; zero where an item lacks it."""
        rows = torch.arange(self.n_items, device=self.device) if items is None else items
        parts = {IDENTIFIER: take_rows(self.item_embedding, rows)}
        for name in self._clusters:
            vectors, numbers = self._nodes(name, rows)
            parts[name] = vectors.sum(1) / (numbers != NONE).sum(1, keepdim=True).clamp(min=1)
        return parts

    def _states_after(self) -> tuple[Callable[[OrderedHistories, Tensor], Tensor], Tensor]:
        parts = self.item_parts()
        table = self._with_start({IDENTIFIER: parts[IDENTIFIER]})[IDENTIFIER]
        length = min(self.config.n_latest, self.config.max_length)

        def state(histories: OrderedHistories, rows: Tensor) -> Tensor:
            tokens = histories.latest(rows, length)
            places = torch.where(tokens == PAD, self.n_items + 1, tokens).flatten()
            return self._after(take_rows(table, places).view(*tokens.shape, -1), tokens)

        return lambda histories, rows: torch.cat(
            [state(histories, some) for some in torch.split(rows, _SESSIONS_AT_ONCE)]
        ), self.candidate_vectors(parts)

    def _nodes(self, modality: str, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [m, each, D] of the clusters of `rows` [m] of items, and which they are [m, each]; zero for none."""
        numbers = self._clusters[modality].index_select(0, rows)
        vectors = take_rows(self.clusters[modality], numbers.clamp(min=0).flatten())
        return vectors.view(*numbers.shape, -1) * (numbers != NONE).unsqueeze(2), numbers

    def _after(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """States [P, D] after the latest of `tokens` [P, n], whose own vectors are `rows` [P, n, D]."""
        n_sessions, length = tokens.shape
        places = torch.where(tokens == PAD, self.n_items + 1, tokens).flatten()
        nodes, bundles = [rows], [tokens.unsqueeze(2)]
        for name in self._clusters:
            vectors, numbers = self._nodes(name, places)
            nodes.append(vectors.view(n_sessions, -1, vectors.shape[-1]))
            bundles.append(numbers.view(n_sessions, length, -1))
        graph = session_graph(bundles)
        counts = graph.occurs.sum(2, keepdim=True).clamp(min=1)
        where = graph.occurs @ self.positions[-length:] / counts
        widths = [each.shape[1] for each in nodes]
        kinds = torch.cat([kind.expand(width, -1) for kind, width in zip(self.kinds, widths, strict=True)])
        joined = torch.cat(nodes, dim=1)
        h = self.join(torch.cat([joined, where, kinds.expand_as(joined)], dim=2))
        for fusion in self.rounds:
            h = dropout(fusion(h, graph, widths), self.rate, self.generator)
        latest: Tensor = h[:, -1]
        return latest


class _Round(nn.Module):
    """Both orders of attention within and across kinds, mixed at each node; the last round is of items alone."""

    def __init__(self, size: int, kinds: int, generator: torch.Generator, *, last: bool) -> None:
        super().__init__()
        self._last, self._scale = last, size**-0.5
        # nobody asks for what other kinds of nodes see in the last round
        self.queries, self.keys, self.values = (
            nn.ModuleList(linear(size, size, generator, bias=False) for _ in range(n))
            for n in (1 if last else kinds, kinds, kinds)
        )
        self.relations = nn.Parameter(xavier((4, size), generator))
        self.hidden = linear(size, size, generator)
        self.output = linear(size, 1, generator, bias=False)

    def forward(self, h: Tensor, graph: SessionGraph, widths: list[int]) -> Tensor:
        """[P, N, D], or [P, n, D] of the items; `widths` says how many nodes of each kind follow one another."""
        rows = widths[0] if self._last else sum(widths)
        values = _by_kind(self.values, h, widths)
        seen_within = self._within(values, graph) @ values
        within_first = self._across(seen_within, graph, widths, rows) @ values
        seen_across = self._across(h, graph, widths, rows) @ values
        across_first = self._within(seen_across, graph) @ values[:, :rows]
        orders = torch.stack([within_first, across_first], dim=2)
        shares = self.output(self.hidden(orders).relu()).softmax(2)
        mixed: Tensor = (shares * orders).sum(2)
        return mixed

    def _within(self, x: Tensor, graph: SessionGraph) -> Tensor:
        """A: weights [P, n, n] of the first n nodes, those of one kind for one another; x [P, n, D]."""
        n = x.shape[1]
        masks = [mask[:, :n, :n] for mask in graph.within]
        scores, allowed = x.new_zeros(()), torch.zeros_like(masks[0])
        for relation, mask in zip(self.relations, masks, strict=True):
            scores = torch.where(mask, leaky_relu((x * relation) @ x.mT, _LEAK), scores)
            allowed = allowed | mask
        return masked_softmax(scores, allowed)

    def _across(self, x: Tensor, graph: SessionGraph, widths: list[int], rows: int) -> Tensor:
        """B: weights [P, rows, N] of a node itself and of nodes of other kinds for the first `rows` nodes."""
        queries = _by_kind(self.queries, x[:, :rows], widths[: len(self.queries)])
        scores = leaky_relu(queries @ _by_kind(self.keys, x, widths).mT * self._scale, _LEAK)
        return masked_softmax(scores, (graph.itself | graph.across)[:, :rows])


def _by_kind(maps: nn.ModuleList, x: Tensor, widths: list[int]) -> Tensor:
    """Each kind of nodes through a map of its own."""
    return torch.cat(
        [each(rows) for each, rows in zip(maps, torch.split(x, widths, dim=1), strict=True)], dim=1
    )
