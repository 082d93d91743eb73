"""HM4SR. Zhang et al., "Hierarchical Time-Aware Mixture of Experts for Multi-Modal Sequential ...", WWW 2025.

In full: "Hierarchical Time-Aware Mixture of Experts for Multi-Modal Sequential Recommendation".
https://arxiv.org/abs/2501.14269

Equation: c ranges over the identifier and the modalities, e^c = v^c + p with v^c = e_i or W_m x_i^m + b_m. First level:
z^c = e^c + w_c sum_e softmax(G_c e^c)_e [A_e (e^1 || e^2 || ...)]_c. Second level, of times: tau = interval || moment
(`layers.event_times`) and z^c *= sum_e softmax(G tau)_e a_e^c. h^c = SASRec_c(LayerNorm(z^c)), a trunk of its own for
each c; y_{t,j} = sum_c <h_t^c, v_j^c>. Loss = softmax cross-entropy of the next item + identity_weight * InfoNCE of
h^id with the next item's e + placeholder_weight * the mean over modalities of the InfoNCE of h^m with what h^m is where
a share of z^m is replaced by P_m tau. Both contrasts are among the positions of a batch that have other next items.

Deviations: the prediction of an item's categories is left out, since models here are given none; a block is laid out as
SASRec's, with every position trained on; a start token, which has no time, has learned vectors in place of tau; which
z^m are replaced is drawn for each token alone. Moments are months since the first training interaction (published:
seconds since 1970, whose rates no step can change by little), intervals have `interval_scale` steps a doubling in a
table for 136 years (published: for the longest one of all data). Both contrasts are of all positions (published: of a
row's last; with these alone the demo's validation recall@20 is .177 in place of .261, one seed). w starts at 0.1 for
the identifier (published 0, where its gate gets no gradient). Corrected: the published temporal experts are in no list
of parameters and never learn; what a contrast leaves out counts nothing (published: a logit of 0). A history whose
times are not known is taken to end at the latest moment of training, with the median interval between its items. An
item that lacks a modality has a learned vector in its place. For histories longer than `max_length` see SASRec.

Complexity: O(M B L (K D + D^2) + E B M^2 D^2 + M B^2 D + M I (F + B) D) a step for B positions in rows of K =
max_length, M streams, E experts.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import info_nce_between_labels
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.event_times import EventTimes
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear, xavier
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts, columns_of_parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_INTERVAL, _MOMENT = "interval", "moment"
"""Names of the parts of tokens that say when."""
_LITTLE = 0.1
"""What the experts first add to identifiers."""


class Hm4srConfig(AttentionConfig):
    """Settings of HM4SR."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "identity_weight": (0.0, 0.1, 1.0),
        "placeholder_weight": (0.0, 0.1, 1.0),
        "placeholder_share": (0.1, 0.3),
    }

    n_experts: int = Field(default=4, ge=1, le=64)
    """Experts E of each level."""
    interval_scale: int = Field(default=4, ge=1, le=1000)
    """Steps between an interval and one of twice its length that are told apart (published: 100)."""
    identity_weight: float = Field(default=1.0, ge=0)
    """Weight of the contrast of states with the identifiers of next items."""
    identity_temperature: float = Field(default=0.2, gt=0)
    """Its temperature."""
    placeholder_weight: float = Field(default=1.0, ge=0)
    """Weight of the contrast of states with those of partly replaced contents."""
    placeholder_temperature: float = Field(default=1.0, gt=0)
    """Its temperature."""
    placeholder_share: float = Field(default=0.3, ge=0, lt=1)
    """Share of the tokens whose content is replaced by what their time says."""


class Hm4sr(SequenceRecommender[Hm4srConfig]):
    """Experts that mix modalities, then experts that weigh them by the time; see the module."""

    spec = ModelSpec(
        name="hm4sr",
        title="HM4SR",
        paper="Zhang et al., WWW 2025",
        url="https://arxiv.org/abs/2501.14269",
        cells=frozenset({Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}),
        complexity="O(M B L (K D + D^2) + E B M^2 D^2 + M B^2 D + M I (F + B) D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
        times=True,
    )
    Config = Hm4srConfig

    def __init__(self, config: Hm4srConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, n = config.embedding_size, config.n_experts
        self._names = (IDENTIFIER, *inputs.features)
        width = size * len(self._names)
        self.make_start([*self._names, _INTERVAL, _MOMENT], size)
        self.times = EventTimes(self._histories, size, config.interval_scale, generator)
        self.positions = position_embedding(config.max_length, size, generator)
        self.experts = nn.ModuleList(linear(width, width, generator) for _ in range(n))
        self.gates = nn.ModuleDict({name: linear(size, n, generator) for name in self._names})
        shares = [_LITTLE, *[1.0] * len(inputs.features)]
        self.weights = nn.Parameter(torch.tensor(shares, device=generator.device))
        self.time_experts = nn.Parameter(xavier((n, width), generator))
        self.time_gate = linear(2 * size, n, generator)
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(size, device=generator.device) for name in self._names}
        )
        self.trunks = nn.ModuleDict(
            {name: AttentionTrunk(size, config.n_layers, config.n_heads, generator) for name in self._names}
        )
        self.placeholders = nn.ModuleDict(
            {name: linear(2 * size, size, generator) for name in inputs.features}
        )

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """The next item, its identifier, and states that hold out when content is hidden."""
        config = self.config
        tokens, targets = self.within_length(batch)
        asked = self.asked(targets, batch)
        wanted = take_rows(targets.flatten(), asked)
        negatives = self._draw_negatives()
        items = self._items_of_step(tokens, wanted, negatives)
        parts, real = self.item_parts(items), tokens != PAD
        times = None if batch.times is None else batch.times[:, -tokens.shape[1] :]
        seen = self.parts_of_tokens(parts, items, tokens) | self.parts_of_times(tokens, times)
        mixed = self._mixed(seen)

        def after(name: str, rows: Tensor) -> Tensor:
            return take_rows(self._encoded(name, rows, real).flatten(0, 1), asked)

        states = {name: after(name, rows) for name, rows in mixed.items()}
        terms = {
            "next_item": self.softmax_term(
                torch.cat(list(states.values()), 1), self.candidate_vectors(parts), items, wanted, negatives
            )
        }
        if config.identity_weight:
            following = take_rows(parts[IDENTIFIER], torch.searchsorted(items, wanted))
            contrast = info_nce_between_labels(
                states[IDENTIFIER], following, wanted, config.identity_temperature
            )
            terms["identity"] = config.identity_weight * contrast
        if config.placeholder_weight:
            drawn = torch.rand(tokens.shape, generator=self.generator, device=self.device)
            hidden = ((drawn < config.placeholder_share) & real & (tokens != self.n_items)).unsqueeze(2)
            when = _when(seen)
            contrasts = []
            for name, placeholder in self.placeholders.items():
                partly = after(name, torch.where(hidden, placeholder(when), mixed[name]))
                contrasts.append(
                    info_nce_between_labels(states[name], partly, wanted, config.placeholder_temperature)
                )
            terms["placeholder"] = config.placeholder_weight * torch.stack(contrasts).mean()
        return terms

    def parts_of_times(self, tokens: Tensor, times: Tensor | None) -> dict[str, Tensor]:
        """Vectors of intervals and of moments; learned ones for starts."""
        found = self.times(self.times.typical(tokens) if times is None else times)
        begins = (tokens == self.n_items).unsqueeze(2)
        return {
            name: torch.where(begins, self.start[name], rows)
            for name, rows in zip((_INTERVAL, _MOMENT), found, strict=True)
        }

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """[B, K, M D] the streams' states side by side."""
        return torch.cat(
            [self._encoded(name, rows, real) for name, rows in self._mixed(parts).items()], dim=-1
        )

    def candidate_vectors(self, parts: Parts) -> Tensor:
        """[n, M D] the parts of items side by side."""
        return torch.cat(list(parts.values()), dim=1)

    def item_paths(self) -> dict[str, Tensor]:
        """Each part's columns of the item vectors."""
        return columns_of_parts(self.item_parts())

    def _mixed(self, parts: Parts) -> dict[str, Tensor]:
        """z^c [B, K, D] of each stream after both levels of experts."""
        size = self.config.embedding_size
        places = self.positions[-parts[IDENTIFIER].shape[1] :]
        rows = {name: parts[name] + places for name in self._names}
        joined = torch.cat(list(rows.values()), dim=-1)
        told = torch.stack([expert(joined) for expert in self.experts], dim=-2)  # [B, K, E, M D]
        scales = self.time_gate(_when(parts)).softmax(-1) @ self.time_experts
        mixed = {}
        for number, (name, own) in enumerate(rows.items()):
            columns = slice(number * size, (number + 1) * size)
            shares = self.gates[name](own).softmax(-1).unsqueeze(-2)
            level = own + self.weights[number] * (shares @ told[..., columns]).squeeze(-2)
            mixed[name] = level * scales[..., columns]
        return mixed

    def _encoded(self, name: str, rows: Tensor, real: Tensor) -> Tensor:
        """h^c [B, K, D]."""
        x = dropout(self.norms[name](rows), self.rate, self.generator)
        states: Tensor = self.trunks[name](x, [itself] * self.config.n_layers, real, self.rate)
        return states


def _when(parts: Parts) -> Tensor:
    """Tau [B, K, 2 D]."""
    return torch.cat([parts[_INTERVAL], parts[_MOMENT]], dim=-1)
