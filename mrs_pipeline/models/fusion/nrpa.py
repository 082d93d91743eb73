"""NRPA-style, for ranking. Liu et al., "NRPA: Neural Recommendation with Personalized Attention", SIGIR 2019.

https://arxiv.org/abs/1905.12480

Equation: the words x_t of a text are c_t = relu(W_m x_t + b_m); read by somebody with the identifier e they become
d(e) = sum_t a_t c_t, a = softmax_t <A_m c_t, relu(Q_m e + q_m)>, and over all modalities their sum. An item is e_i +
d_i(e_i), read with its own identifier; a user is e_u + sum_j b_j d_j(e_u) over the n_texts latest items j, b =
softmax_j <B d_j(e_u), relu(R e_u + r)>; y_ui = <user, item>; loss = BPR + reg_weight * half the squared norm of the
identifiers used.

What is a guess, and deviations: published are reviews, a user's and an item's, and the error of ratings by a
factorisation machine over both vectors; here texts are the items' own (no layout of ours has reviews), scores are
products for a ranking, and one table of identifiers stands for the two that ask for words and for reviews. Words come
as states of an encoder, so that the published convolution over three neighbours is left out. Any number of
modalities: regions of pictures are read like words. The text of the item that is to be told is no part of the user's
texts in training, since it is none when ranking. Without times the n_texts items of the highest numbers are taken.

Complexity: O(I' M T D (F + h)) a step of I' distinct items, and O(B M n T (h + D)) for B pairs, memory the same; as
much for each user to score.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.pair_attention import AttendedTokens
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_tokens import AT_ONCE, StandardTokens
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_USERS_AT_ONCE = 256
"""Users whose texts are read together when scoring."""


class NrpaConfig(GradientConfig):
    """Settings of NRPA-style."""

    search_space: ClassVar[SearchSpace] = {"n_texts": (5, 10), "reg_weight": (1e-4, 1e-3, 1e-2)}

    n_texts: int = Field(default=5, ge=1, le=100)
    """Latest items of a user whose texts are read."""
    attention_size: int = Field(default=16, ge=1, le=1024)
    """Width h of what asks for words and texts."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's identifiers."""


class Nrpa(IdentifierRecommender[NrpaConfig]):
    """Words and texts weighed by who reads them; see the module."""

    spec = ModelSpec(
        name="nrpa",
        title="NRPA-style (ranking)",
        paper="Liu et al., SIGIR 2019",
        url="https://arxiv.org/abs/1905.12480",
        cells=frozenset({Cell.COMBINED_ATTENTION}),
        complexity="O(I' M T D (F + h) + B M n T (h + D))",
        tokens=FeatureUse.REQUIRED,
    )
    Config = NrpaConfig

    def __init__(self, config: NrpaConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._tokens = StandardTokens(inputs.tokens)
        size, hidden = config.embedding_size, config.attention_size
        self.words, self.keys = nn.ModuleDict(), nn.ModuleDict()
        self.asked_by_user, self.asked_by_item = nn.ModuleDict(), nn.ModuleDict()
        for modality, tokens in inputs.tokens.items():
            self.words[modality] = linear(tokens.width, size, generator)
            self.keys[modality] = linear(size, hidden, generator, bias=False)
            self.asked_by_user[modality] = linear(size, hidden, generator)
            self.asked_by_item[modality] = linear(size, hidden, generator)
        self.text_keys = linear(size, hidden, generator, bias=False)
        self.text_asked = linear(size, hidden, generator)
        times = torch.zeros_like(inputs.items) if inputs.times is None else inputs.times
        histories = OrderedHistories.from_rows(
            inputs.users, inputs.items, times, inputs.n_users, inputs.n_items
        )
        latest = histories.latest(torch.arange(inputs.n_users, device=self.device), config.n_texts)
        self._texts = latest.masked_fill(latest == inputs.n_items, PAD)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the identifiers used."""
        rows = DistinctRows.of(batch)
        texts = take_rows(self._texts, rows.users)
        items, places = distinct(
            torch.cat([rows.items, torch.where(texts == PAD, rows.items[0], texts).flatten()])
        )
        attended = self._attended(items)
        own = self._items(rows.items, attended, places[: len(rows.items)])
        users = take_rows(self.user_embedding, rows.users)
        read = self._read_by(users, texts, attended, places[len(rows.items) :])
        of_pairs = take_rows(texts, rows.user_place)
        # the text that is to be told is not read
        known = (of_pairs != PAD) & (of_pairs != batch.positives.unsqueeze(1))
        vectors = self._users(take_rows(users, rows.user_place), take_rows(read, rows.user_place), known)
        positives, negatives = take_rows(own, rows.item_place).chunk(2)
        ids = rows.pair_rows(users, take_rows(self.item_embedding, rows.items))
        return {
            "bpr": bpr_inner(vectors, positives, negatives),
            "reg": self.config.reg_weight * squared_norm(*ids),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D] with what they read, items [I, D] with their own text."""
        users = []
        for block in torch.split(torch.arange(self.n_users, device=self.device), _USERS_AT_ONCE):
            texts, own = take_rows(self._texts, block), take_rows(self.user_embedding, block)
            items, places = distinct(texts.clamp(min=0).flatten())
            read = self._read_by(own, texts, self._attended(items), places)
            users.append(self._users(own, read, texts != PAD))
        found = [
            self._items(block, self._attended(block), torch.arange(len(block), device=self.device))
            for block in torch.split(torch.arange(self.n_items, device=self.device), AT_ONCE)
        ]
        return torch.cat(users), torch.cat(found)

    def token_maps(self, user: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Modality -> [n, T] how `user` [1] would read `items` [n]."""
        own = take_rows(self.user_embedding, user.expand(len(items)))
        places = torch.arange(len(items), device=items.device)
        return {
            modality: each.shares(self.asked_by_user[modality](own).relu(), places)
            for modality, each in self._attended(items).items()
        }

    def _attended(self, items: Tensor) -> dict[str, AttendedTokens]:
        """Modality -> the words of `items` [n]."""
        found = {}
        for modality, layer in self.words.items():
            tokens, there = self._tokens.rows(modality, items)
            words = layer(tokens).relu()
            found[modality] = AttendedTokens(self.keys[modality](words), words, there)
        return found

    def _items(self, items: Tensor, attended: dict[str, AttendedTokens], places: Tensor) -> Tensor:
        """[n, D] of `items` [n], which stand at `places` [n] among those that are attended to."""
        vectors = own = take_rows(self.item_embedding, items)
        for modality, each in attended.items():
            vectors = vectors + each.pooled(self.asked_by_item[modality](own).relu(), places)
        return vectors

    def _read_by(
        self, users: Tensor, texts: Tensor, attended: dict[str, AttendedTokens], places: Tensor
    ) -> Tensor:
        """[n, n_texts, D] what users [n, D] make of each of their texts [n, n_texts], at `places` [n n_texts]."""
        width = texts.shape[1]
        read = torch.zeros((), device=self.device)
        for modality, each in attended.items():
            asked = self.asked_by_user[modality](users).relu()
            read = read + each.pooled(asked.repeat_interleave(width, 0), places)
        return read.view(len(users), width, -1)

    def _users(self, users: Tensor, read: Tensor, known: Tensor) -> Tensor:
        """[B, D] of identifiers [B, D], texts as read [B, n, D], and which of them are known [B, n]."""
        scores = (self.text_keys(read) @ self.text_asked(users).relu().unsqueeze(2)).squeeze(2)
        return users + (masked_softmax(scores, known).unsqueeze(1) @ read).squeeze(1)
