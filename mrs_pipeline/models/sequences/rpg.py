"""RPG. Hou et al., "Generating Long Semantic IDs in Parallel for Recommendation", KDD 2025.

https://arxiv.org/abs/2506.05781

Equation: an item is m code words c_i1..c_im (`layers.semantic_codes`), and its vector the mean of its words'
E_k[c_ik]; h = SASRec over these and positions. f_k(h) = h + SiLU(W_k h + b_k); log p_k = log-softmax over the words
of cos(f_k(h), E_k) / temperature. loss = mean over the next item's words of -log p_k[c_k], at every position; y_i =
mean_k log p_k[c_ik], exactly, for all items at once.

Deviations: words are made by k-means of whitened components cut into digits, without the rotation of OPQ, and of each
modality by itself; a mean is over the words that an item has. An item without any content has in each digit a word of
its own kind. The trunk is SASRec's, with its ReLU and learned start token (published: GPT-2). No decoding over a
graph of words, which is for huge catalogues and random: the product with the sparse [I, words] matrix is exact. Two
items with the same words score alike.

Complexity: O(B L (K D + D^2) + B m (D^2 + C D)) a step for B positions and C words a digit; O(I m) a user to score.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize, silu

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Scorer, SequenceBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.content_clusters import NONE
from mrs_pipeline.models.layers.histories import HeadsConfig, HistoryRecommender, position_embedding
from mrs_pipeline.models.layers.parameters import xavier
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.layers.semantic_codes import semantic_codes
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_RECALLED_AT_ONCE = 512
"""Histories whose states are in memory together."""


class RpgConfig(HeadsConfig):
    """Settings of RPG."""

    search_space: ClassVar[SearchSpace] = {
        **HeadsConfig.search_space,
        "n_digits": (4, 8, 16),
        "temperature": (0.03, 0.07, 0.1),
        "learning_rate": (1e-3, 3e-3),
    }

    n_digits: int = Field(default=8, ge=1, le=64)
    """Code words of a modality."""
    n_codes: int = Field(default=64, ge=2, le=4096)
    """Words C to choose from in each digit (published: 256)."""
    temperature: float = Field(default=0.07, gt=0)
    """Divides the cosines."""


class Rpg(HistoryRecommender[RpgConfig]):
    """The next item's code words, all at once; see the module."""

    spec = ModelSpec(
        name="rpg",
        title="RPG",
        paper="Hou et al., KDD 2025",
        url="https://arxiv.org/abs/2506.05781",
        cells=frozenset({Cell.TWO_STEP}),
        complexity="O(B L (K D + D^2) + B m (D^2 + C D))",
        clusters=True,
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = RpgConfig

    def __init__(self, config: RpgConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, codes = config.embedding_size, semantic_codes(inputs, config.n_digits, config.n_codes)
        self._modalities = list(inputs.features)
        self._n_words = int(codes.max()) + 2
        # the last word of each digit is for those of which nothing is known
        codes = torch.where((codes == NONE).all(1, keepdim=True), self._n_words - 1, codes)
        self._has = codes != NONE
        self._words = codes.clamp(min=0) + self._n_words * torch.arange(codes.shape[1], device=inputs.device)
        m = codes.shape[1]
        self.words = nn.Parameter(xavier((m * self._n_words, size), generator))
        self.heads = nn.Parameter(torch.zeros(m, size, size, device=generator.device))
        self.head_biases = nn.Parameter(torch.zeros(m, size, device=generator.device))
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)
        self.make_start([IDENTIFIER], size)
        self._matrix = self._word_matrix()

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """The mean of the words [n, D] of `items` [n] int64, or of all."""
        items = torch.arange(self.n_items, device=self.device) if items is None else items
        words, has = take_rows(self._words, items), take_rows(self._has, items).unsqueeze(2)
        rows = take_rows(self.words, words.flatten()).view(*words.shape, -1)
        return {IDENTIFIER: (rows * has).sum(1) / has.sum(1)}

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Self-attention over the means of words, and positions."""
        x = parts[IDENTIFIER] * self.config.embedding_size**0.5 + self.positions[-real.shape[1] :]
        x = dropout(x, self.rate, self.generator)
        states: Tensor = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        return states

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Mean negative log-likelihood of the next item's words at every position."""
        tokens, targets = self.within_length(batch)
        asked = self.asked(targets, batch)
        wanted = take_rows(targets.flatten(), asked)
        items = self.items_of(tokens, wanted)
        seen = self.parts_of_tokens(self.item_parts(items), items, tokens)
        states = take_rows(self.states(seen, tokens != PAD).flatten(0, 1), asked)
        likely = self._log_likelihoods(states).gather(1, take_rows(self._words, wanted))
        has = take_rows(self._has, wanted)
        return {"next_words": -((likely * has).sum(1) / has.sum(1)).mean()}

    def scorer(self) -> Scorer:
        """Words' log-likelihoods after the latest token, times who has which words."""
        after = self._likely_after()
        return lambda users: self._of_items(after(self._histories, users))

    def history_scorer(self) -> HistoryScorer:
        """The same of any histories."""
        after = self._likely_after()
        return lambda histories: self._of_items(
            after(histories, torch.arange(len(histories), device=self.device))
        )

    def item_paths(self) -> dict[str, Tensor]:
        """Each modality's words [I, m (C + 1)] and none of the others'."""
        dense = self._matrix.matrix.to_dense()
        paths = {}
        width = len(self.words) // len(self._modalities)
        for number, name in enumerate(self._modalities):
            own = torch.zeros_like(dense)
            columns = slice(number * width, (number + 1) * width)
            own[:, columns] = dense[:, columns]
            paths[name] = own
        return paths

    def _states_after(self) -> tuple[Callable[[OrderedHistories, Tensor], Tensor], Tensor]:
        """Words' log-likelihoods, and who has which words as a dense matrix, for whoever needs vectors."""
        return self._likely_after(), self._matrix.matrix.to_dense()

    def _likely_after(self) -> Callable[[OrderedHistories, Tensor], Tensor]:
        """From histories and rows of them [B] to log p [B, m (C + 1)] of all words after the latest token."""
        parts = self.item_parts()
        everything = torch.arange(self.n_items, device=self.device)

        def likely(histories: OrderedHistories, rows: Tensor) -> Tensor:
            tokens = histories.latest(rows, self.config.max_length)
            states = self.states(self.parts_of_tokens(parts, everything, tokens), tokens != PAD)[:, -1]
            return self._log_likelihoods(states)

        return lambda histories, rows: torch.cat(
            [likely(histories, some) for some in torch.split(rows, _RECALLED_AT_ONCE)]
        )

    def _of_items(self, likely: Tensor) -> Tensor:
        """Scores [B, I] from log-likelihoods of words [B, m (C + 1)]."""
        return (self._matrix @ likely.T.contiguous()).T.contiguous()

    def _log_likelihoods(self, states: Tensor) -> Tensor:
        """[n, m (C + 1)] of states [n, D]: log p_k of every word of every digit."""
        heads = torch.einsum("nd,kde->kne", states, self.heads) + self.head_biases.unsqueeze(1)
        turned = normalize(states + silu(heads), dim=2)
        words = normalize(self.words.view(len(self.heads), self._n_words, -1), dim=2)
        cosines = torch.bmm(turned, words.mT) / self.config.temperature
        return cosines.log_softmax(2).transpose(0, 1).flatten(1)

    def _word_matrix(self) -> SparseOperator:
        """[I, m (C + 1)]: one over an item's number of words where it has a word."""
        items, digits = torch.nonzero(self._has, as_tuple=True)
        shares = 1 / self._has.sum(1).to(self.words.dtype)
        shape = (self.n_items, len(self.words))
        return SparseOperator.from_csr(
            Csr.from_pairs(items, self._words[items, digits], shares[items], shape)
        )
