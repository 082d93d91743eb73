"""MML. Pan et al., "Multimodal Meta-Learning for Cold-Start Sequential Recommendation", CIKM 2022.

https://doi.org/10.1145/3511808.3557101

Equation: an identifier stream and one stream a modality, v_i^c = e_i or W_m x_i^m + b_m; stream c turns a history
into states h^c = SASRec_w(v^c). A user is a task: of a subsequence's targets the earlier ones are the support, the
others the query. w' = w - inner_rate * d L_support / d w, `inner_steps` times, w being a stream's trunk and
positions, with L_support = -mean log sigmoid <h_t, v_{t+1} - v_mean>. Meta-learner: L_c = softmax cross-entropy of
the query's next items under <h'^c, v_j^c>, whose gradient goes to w and to the items' vectors, through the inner
steps (`second`) or past them (`first`). Fusion: y_j = gain * sum_c a_c z_c(<h'^c, v_j^c>) with z the standardisation
over items and a = softmax_c MLP(LayerNorm h'^c). Generator, the second step: g_i as in `layers.item_generator`; some
items show g_i in place of e_i and the cross-entropy of the next item trains g alone. Warm items keep e_i, cold ones
are g_i.

Deviations: generator and fusion are trained in the same steps as the meta-learner, which hears nothing of them (all
that they read is detached), so that the best epoch has all three; the published steps follow one another, and while
the generator learns the scores of warm items no longer change, so that no validation could tell when to stop. The cut
between support and query is drawn anew for each row, where it is published as the last item, so that all items are
queries at times. The inner loss compares with the mean of all items in place of a drawn one: a user's adaptation is
then the same whenever he is scored. The outer loss is the softmax over the catalogue (or a sample, see
`n_negatives`), not one negative. The published generator's attention also has <w', h_i> and a bias, which a softmax
over the neighbours of i does not see. Items show g_i for a whole step, and as candidates too. The fusion weighs the
last state (published: all states in a row), and the standardisation has one gain for all items (published: one an
item, which no new item has). Before scoring a user's own steps are `inner_steps` on all of the history (published: 50
epochs on all parameters, with the best epoch chosen on the user's validation item). Dropout is on the tokens alone.
Corrected: the published code goes on from the last task's weights instead of the shared ones; here no task changes
them.

Complexity: O(M (S + 1) B L (K D + D^2) + M I (F + B) D) a step for B positions, S inner steps and M streams; memory
O(M u L D^2) for the weights of the u users of a step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sampling import random_below
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.config import NeighbourSetting, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.adaptation import MetaGradient, adapted
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.item_generator import ItemGenerator
from mrs_pipeline.models.layers.item_graphs import item_graphs
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts, columns_of_parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_TASKS_AT_ONCE = 64
"""Users whose own weights are in memory together when scoring."""
_SMALL = 1e-8
"""Added to a variance."""


class MmlConfig(AttentionConfig):
    """Settings of MML."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "inner_rate": (0.001, 0.01, 0.1),
        "inner_steps": (1, 5),
        "swap": (0.1, 0.15, 0.5),
    }

    inner_steps: int = Field(default=1, ge=0, le=100)
    """Gradient steps S from the shared weights to a user's (published: 5 of .001); with 0 there is no meta-learning."""
    inner_rate: float = Field(default=0.01, ge=0, le=10)
    """Length of such a step."""
    meta_gradient: MetaGradient = "first"
    """`first` takes the inner steps for constants, `second` differentiates through them."""
    swap: float = Field(default=0.1, gt=0, le=1)
    """Probability that an item shows its generated vector where the generator is trained."""
    knn_k: int = Field(default=6, ge=2, le=200)
    """Neighbours that the generator attends to, the item itself, which it does not, among them."""

    @property
    def item_neighbours(self) -> NeighbourSetting:
        """`knn_k`."""
        return NeighbourSetting("knn_k", self.knn_k)


class Mml(SequenceRecommender[MmlConfig]):
    """A meta-learner over users, and a generator of the vectors of cold items; see the module."""

    spec = ModelSpec(
        name="mml",
        title="MML",
        paper="Pan et al., CIKM 2022",
        url="https://doi.org/10.1145/3511808.3557101",
        cells=frozenset({Cell.COARSE_ATTENTION, Cell.TWO_STEP}),
        complexity="O(M (S + 1) B L (K D + D^2) + M I (F + B) D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = MmlConfig

    def __init__(self, config: MmlConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._cold = torch.nonzero(~inputs.items_seen()).flatten()
        self.streams = nn.ModuleDict(
            {name: _AdaptedStream(config, generator) for name in (IDENTIFIER, *inputs.features)}
        )
        self.fusion = _StreamFusion(size, generator)
        graphs = item_graphs(inputs, config.knn_k, self.spec.name)
        self.generated = ItemGenerator(inputs, graphs, size, generator)

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Each stream's query after its own steps, the fused query, and what generated vectors predict."""
        tokens, targets = self.within_length(batch)
        real, asked, places = tokens != PAD, targets != PAD, self.asked(targets, batch)
        cut = random_below(asked.sum(1), self.generator)
        support = asked & (asked.cumsum(1) <= cut.unsqueeze(1))
        followed, negatives = take_rows(targets.flatten(), places), self._draw_negatives()
        query = marked(take_rows((asked & ~support).flatten(), places))
        wanted, queried = query.take(followed), query.take(places)
        items = self._items_of_step(tokens, followed, negatives)
        compared = items if negatives is None else negatives
        parts = self.item_parts(items)
        moments = _moments(parts, torch.searchsorted(items, compared))
        nexts = torch.searchsorted(items, targets.contiguous()).clamp(max=len(items) - 1)
        seen = self.parts_of_tokens(parts, items, tokens)
        states, terms = {}, {}
        for name, vectors in parts.items():
            following = take_rows(vectors, nexts.flatten()).view(*nexts.shape, -1)
            gaps = following - moments[name].mean
            after = take_rows(self._states(name, seen[name], real, gaps, support).flatten(0, 1), queried)
            terms[f"meta_{name}"] = self.softmax_term(
                after, vectors, items, wanted, negatives, weights=query.weights
            )
            states[name] = after.detach()
        fixed = torch.cat([vectors.detach() for vectors in parts.values()], dim=1)
        terms["fusion"] = self.softmax_term(
            self.fusion(states, moments), fixed, items, wanted, negatives, weights=query.weights
        )
        terms["generator"] = self._generator_term(parts, items, tokens, (places, followed), negatives)
        return terms

    def item_paths(self) -> dict[str, Tensor]:
        """Each stream's columns of the item vectors, zero in those of the others."""
        return columns_of_parts(self._ranked_parts())

    def _ranked_parts(self) -> dict[str, Tensor]:
        """Identifiers, generated for cold items, and content [I, D]."""
        parts = self.item_parts()
        parts[IDENTIFIER] = parts[IDENTIFIER].index_copy(0, self._cold, self.generated(self._cold))
        return parts

    def _states_after(self) -> tuple[Callable[[OrderedHistories, Tensor], Tensor], Tensor]:
        """Histories take their own steps on all that they hold; then the fused state after the latest token."""
        parts = self._ranked_parts()
        moments = _moments(parts, self._candidates)
        everything = torch.arange(self.n_items, device=self.device)

        def fused(histories: OrderedHistories, rows: Tensor) -> Tensor:
            tokens = histories.latest(rows, self.config.max_length)
            real = tokens != PAD
            states = {}
            for name, x in self.parts_of_tokens(parts, everything, tokens).items():
                # no token follows the last, whose own place is never in the support
                support = real & (torch.arange(x.shape[1], device=x.device) < x.shape[1] - 1)
                gaps = x.roll(-1, dims=1) - moments[name].mean
                states[name] = self._states(name, x, real, gaps, support)[:, -1]
            vectors: Tensor = self.fusion(states, moments)
            return vectors

        return lambda histories, rows: torch.cat(
            [fused(histories, some) for some in torch.split(rows, _TASKS_AT_ONCE)]
        ), torch.cat(list(parts.values()), dim=1)

    def _states(self, stream: str, x: Tensor, real: Tensor, gaps: Tensor, support: Tensor) -> Tensor:
        """[B, K, D] by each user's own weights.

        Args:
            stream: its name.
            x: vectors of tokens [B, K, D].
            real: [B, K] bool, False at padding.
            gaps: vectors of what followed each token less the mean item [B, K, D].
            support: [B, K] bool where the user's own steps are taken.
        """
        config = self.config
        return adapted(
            self.streams[stream],
            _support_loss,
            (dropout(x, self.rate, self.generator), real),
            (gaps, support),
            steps=config.inner_steps,
            rate=config.inner_rate,
            order=config.meta_gradient,
        )

    def _generator_term(
        self,
        parts: Parts,
        items: Tensor,
        tokens: Tensor,
        nexts: tuple[Tensor, Tensor],
        negatives: Tensor | None,
    ) -> Tensor:
        """Cross-entropy of all next items where some items show generated vectors; moves the generator alone.

        `nexts` are the places [P] among the flat tokens that are followed by an item, and these items [P].
        """
        shown = torch.rand(len(items), generator=self.generator, device=self.device) < self.config.swap
        shown = shown & self.generated.knows(items)
        made, table = marked(shown), parts[IDENTIFIER].detach()
        vectors = self.generated(made.take(items))
        if made.rows is None:
            table = torch.where(shown.unsqueeze(1), vectors, table)
        else:
            table = table.index_copy(0, made.rows, vectors)
        x = self.parts_of_tokens({IDENTIFIER: table}, items, tokens)[IDENTIFIER]
        x = torch.where((tokens == self.n_items).unsqueeze(2), x.detach(), x)
        stream, (places, wanted) = self.streams[IDENTIFIER], nexts
        fixed = {name: value.detach() for name, value in stream.named_parameters()}
        states = functional_call(stream, fixed, (dropout(x, self.rate, self.generator), tokens != PAD))
        states = take_rows(states.flatten(0, 1), places)
        return self.softmax_term(states, table, items, wanted, negatives)


def _support_loss(states: Tensor, gaps: Tensor, counted: Tensor) -> Tensor:
    """-mean log sigmoid <h_t, v_{t+1} - v_mean> over the counted [K] places of one user's states [K, D]."""
    values = logsigmoid((states * gaps).sum(1)) * counted
    return -values.sum() / counted.sum().clamp(min=1)


@dataclass(frozen=True)
class _Moments:
    """Mean [D] and covariance [D, D] of a stream's item vectors."""

    mean: Tensor
    covariance: Tensor


def _moments(parts: Parts, rows: Tensor) -> dict[str, _Moments]:
    found = {}
    for name, vectors in parts.items():
        some = take_rows(vectors, rows).detach()
        centred = some - some.mean(0)
        found[name] = _Moments(some.mean(0), centred.T @ centred / len(rows))
    return found


class _AdaptedStream(nn.Module):
    """SASRec over vectors of tokens: all that a user may adapt."""

    def __init__(self, config: MmlConfig, generator: torch.Generator) -> None:
        super().__init__()
        size = config.embedding_size
        self._scale, self._n_layers = size**0.5, config.n_layers
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """States [B, K, D]."""
        places = self.positions[-x.shape[1] :]
        states: Tensor = self.trunk(x * self._scale + places, [itself] * self._n_layers, real, 0.0)
        return states


class _StreamFusion(nn.Module):
    """Users' vectors [n, C D] whose products with items' [I, C D] are gain * sum_c a_c z_c, but for a constant."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size, device=generator.device)
        self.hidden = linear(size, 2 * size, generator)
        self.output = linear(2 * size, 1, generator, bias=False)
        self.gain = nn.Parameter(torch.ones((), device=generator.device))

    def forward(self, states: Mapping[str, Tensor], moments: Mapping[str, _Moments]) -> Tensor:
        """From states [n, D] of the C streams and the moments of their items."""
        stacked = torch.stack(list(states.values()), dim=1)
        shares = self.output(self.hidden(self.norm(stacked)).relu()).softmax(1)
        spreads = torch.stack(
            [
                ((state @ moments[name].covariance * state).sum(1, keepdim=True) + _SMALL).sqrt()
                for name, state in states.items()
            ],
            dim=1,
        )
        fused: Tensor = (self.gain * shares * stacked / spreads).flatten(1)
        return fused
