"""MM-Rec. Wu et al., "MM-Rec: Visiolinguistic Model Empowered Multimodal News Recommendation", SIGIR 2022.

https://arxiv.org/abs/2104.07407

Equation: the tokens of an item's modalities (words of the title, regions of the picture), W_m x + b_m, go n_layers
times through z = LN(x + attention of x to the tokens of all other modalities), x = LN(FFN(z) + z); a modality's
vector is n^m = sum_t a_t x_t with a = softmax_t <q_m, x_t>. For a candidate c and a history of items k the user is
u_c = sum over pairs (x, y) of modalities of sum_k softmax_k(<n_c^x, n_k^y> / sqrt(D)) n_k^y, and y_uc = <sum_m n_c^m,
u_c>; loss = softmax cross-entropy of the next item against n_negatives drawn ones, at every position of a history.

Deviations: token sets are encoded beforehand and stay as they are, where the paper trains ViLBERT with the rest; any
number of modalities. Beside them an item has an identifier as one more vector, which is zero for items without
interactions (news of the paper are never seen in training); a start token stands before each history. Products are
scaled. The published code forwards no masks, so that padding is attended to; here tokens, modalities and clicks that
are absent have no share, and a modality that the candidate lacks asks nothing. Sampled items that are the right one
do not count. Maps of the attention (`token_maps`) are the a_t, the same for every user.

Complexity: O(I' M T (F D + L (M T D + D^2))) a step of I' distinct items; O(M^2 B K^2 n D) for B rows of K clicks and
n candidates; O(M^2 K D) a pair to rank, whose scores are no products.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import HistoryScorer, Scorer, SequenceBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.cross_attention import AttendAndFeed
from mrs_pipeline.models.layers.histories import HeadsConfig, HistoryRecommender
from mrs_pipeline.models.layers.parameters import embedding, linear, vector
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.layers.standard_tokens import AT_ONCE, StandardTokens
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_SCORES_AT_ONCE = 20_000_000
"""Scores of users, candidates and clicks that stand in memory together in a ranking."""


class MmRecConfig(HeadsConfig):
    """Settings of MM-Rec."""

    search_space: ClassVar[SearchSpace] = {"n_layers": (1, 2), "n_heads": (1, 4)}

    n_layers: int = Field(default=1, ge=1, le=16)
    """Blocks in which modalities attend to one another."""
    n_negatives: int = Field(default=4, ge=1, le=1000)
    """Items drawn for each position, among which the next one is told."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of entries of the projected tokens zeroed in training."""


class MmRec(HistoryRecommender[MmRecConfig]):
    """Words and regions that attend to one another, clicks that a candidate attends to; see the module."""

    spec = ModelSpec(
        name="mm_rec",
        title="MM-Rec",
        paper="Wu et al., SIGIR 2022",
        url="https://arxiv.org/abs/2104.07407",
        cells=frozenset({Cell.FINE_ATTENTION}),
        complexity="O(I' M T (F D + L (M T D + D^2)) + M^2 B K^2 n D)",
        batches=BatchKind.SEQUENCES,
        tokens=FeatureUse.REQUIRED,
        histories=True,
    )
    Config = MmRecConfig

    def __init__(self, config: MmRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._tokens = StandardTokens(inputs.tokens)
        self._candidates = torch.nonzero(inputs.items_seen()).squeeze(1)
        size = config.embedding_size
        self.item_embedding = embedding(inputs.items_seen(), size, generator)
        self.words = nn.ModuleDict()
        self.query = nn.ParameterDict()
        for modality, tokens in inputs.tokens.items():
            self.words[modality] = linear(tokens.width, size, generator)
            self.query[modality] = vector(size, generator)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: AttendAndFeed(size, config.n_heads, generator) for name in self.words})
            for _ in range(config.n_layers)
        )
        self.make_start([IDENTIFIER, *self.words], size)

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Cross-entropy of the next item among drawn ones, at every position."""
        tokens, targets = self.within_length(batch)
        n_rows, length = tokens.shape
        drawn = torch.randint(
            len(self._candidates),
            (n_rows, length, self.config.n_negatives),
            generator=self.generator,
            device=self.device,
        )
        negatives = take_rows(self._candidates, drawn.flatten()).view(drawn.shape)
        asked = self.asked(targets, batch)
        wanted = torch.where(targets == PAD, self._candidates[0], targets).unsqueeze(2)
        candidates = torch.cat([wanted, negatives], dim=2).flatten(1)
        items = self.items_of(tokens, candidates.flatten())
        parts = self.item_parts(items)
        places = torch.searchsorted(items, candidates.flatten())
        own = {name: take_rows(rows, places).view(*candidates.shape, -1) for name, rows in parts.items()}
        earlier = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
        looked_at = earlier.repeat_interleave(1 + self.config.n_negatives, 0) & (tokens != PAD).unsqueeze(1)
        scores = self._matched(own, self.parts_of_tokens(parts, items, tokens), looked_at)
        scores = scores.view(n_rows * length, -1)
        hits = torch.cat([torch.zeros_like(wanted, dtype=torch.bool), negatives == wanted], dim=2)
        scores = take_rows(scores.masked_fill(hits.flatten(0, 1), torch.finfo(scores.dtype).min), asked)
        return {"next_item": cross_entropy(scores, torch.zeros_like(asked))}

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier and each modality's vector [n, D] of `items` [n] int64, or of all; zero where it is absent."""
        if items is None:
            every = torch.arange(self.n_items, device=self.device)
            blocks = [self.item_parts(block) for block in torch.split(every, AT_ONCE)]
            return {name: torch.cat([block[name] for block in blocks]) for name in blocks[0]}
        content = {
            name: (shares.unsqueeze(1) @ rows).squeeze(1)
            for name, (rows, shares) in self._read(items).items()
        }
        return {IDENTIFIER: take_rows(self.item_embedding, items), **content}

    def scorer(self) -> Scorer:
        """Vectors of all items are made once."""
        score = self._scores_after()
        return lambda users: score(self._histories, users)

    def history_scorer(self) -> HistoryScorer:
        """A user is nothing but a history."""
        score = self._scores_after()
        return lambda histories: score(histories, torch.arange(len(histories), device=self.device))

    def token_maps(self, user: Tensor, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Modality -> [n, T] what of `items` [n] makes their vectors, the same for every user."""
        return {name: shares for name, (_, shares) in self._read(items).items()}

    def _read(self, items: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Modality -> tokens [n, T, D] after the blocks, and the shares [n, T] of each in its vector."""
        rows, there = {}, {}
        for modality, layer in self.words.items():
            tokens, there[modality] = self._tokens.rows(modality, items)
            rows[modality] = dropout(layer(tokens), self.rate, self.generator)
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            rows = {name: block[name](own, *_others_of(rows, there, name)) for name, own in rows.items()}
        return {
            name: (own, masked_softmax(own @ self.query[name], there[name])) for name, own in rows.items()
        }

    def _matched(self, candidates: Parts, clicks: Parts, looked_at: Tensor) -> Tensor:
        """[B, N] scores of candidates [B or 1, N, D] by part, for clicks [B, K, D]; `looked_at` [B, N or 1, K]."""
        whole = torch.stack(list(candidates.values())).sum(0)
        scale = 1 / math.sqrt(self.config.embedding_size)
        total = torch.zeros((), device=self.device)
        for keys in clicks.values():
            columns = keys.mT
            there = looked_at & (keys != 0).any(2).unsqueeze(1)
            given = whole @ columns
            for asking in candidates.values():
                shares = masked_softmax(asking @ columns * scale, there)
                total = total + (shares * given).sum(2) * (asking != 0).any(2)
        return total

    def _scores_after(self) -> Callable[[OrderedHistories, Tensor], Tensor]:
        """A function from histories and rows of them [B] to scores [B, I]."""
        parts = self.item_parts()
        table = self._with_start(parts)
        length = self.config.max_length

        def score(histories: OrderedHistories, rows: Tensor) -> Tensor:
            tokens = histories.latest(rows, length)
            places = torch.where(tokens == PAD, self.n_items + 1, tokens).flatten()
            clicks = {name: take_rows(each, places).view(*tokens.shape, -1) for name, each in table.items()}
            looked_at = (tokens != PAD).unsqueeze(1)
            size = max(1, _SCORES_AT_ONCE // (len(rows) * length))
            blocks = zip(*(torch.split(each, size) for each in parts.values()), strict=True)
            return torch.cat(
                [
                    self._matched(
                        {name: each.unsqueeze(0) for name, each in zip(parts, block, strict=True)},
                        clicks,
                        looked_at,
                    )
                    for block in blocks
                ],
                dim=1,
            )

        return score


def _others_of(rows: dict[str, Tensor], there: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Tokens [n, S, D] of all other modalities, and which there are [n, S]; its own, of the only one."""
    others = [other for other in rows if other != name] or [name]
    return torch.cat([rows[other] for other in others], dim=1), torch.cat(
        [there[other] for other in others], dim=1
    )
