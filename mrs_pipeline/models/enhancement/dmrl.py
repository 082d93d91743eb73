"""DMRL. Liu et al., "Disentangled Multimodal Representation Learning for Recommendation", TMM 2022.

https://arxiv.org/abs/2203.05406

Equation: vectors are cut into K factors. Channels c of an item: its identifier, and content a modality,
FC(|dropout(LeakyReLU(FC(x^m/|x^m|)))|) with |.| to length one. For factor k of user u and item i
a_k = softmax_c( W_o tanh(W_h [u_k, i_k^1, .., i_k^C]/length + b) ), y_ui = sum_k sum_c a_kc softplus(<u_k, i_k^c>);
loss = mean softplus(max_n y_un - y_ui) over n drawn items + (reg_weight / B) * half squared norm / B
     + (independence_weight / B) * sum over users and channels of the distance correlations of adjacent factors
       divided by K (K + 1) / 2.
This is the published loss divided by B: the published one sums the ranking term over the batch and not the others.

Deviations: any number of modalities; a channel that an item lacks is left out of its softmax, and zero in
its attention's input. Distance correlation, which costs the square of the rows, is estimated on the first
`independence_rows` of the shuffled batch. The squared norm is of identifiers alone (the published one counts the
content vectors in), and LeakyReLU falls by .01 (there .2). An item that training never saw keeps its identifier's
channel, as a zero vector: the same constant for every such item.
Corrected: each negative is compared with its own user's positive; all parameters are trained, and dropout is on
in training and off in scoring; every modality has its own weight.

Complexity: O(B n F H + B n C D + C D r^2) a step with n negatives, H hidden units, C channels, r rows of the
estimate, plus Adam's O((U + I) D). A user's scores take O(I C D), and a fixed amount of memory: they do not factorise.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize, softplus

from mrs_pipeline.functional.distinct import distinct, marked
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.independence import adjacent_dependence, factor_parts
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr, squared_norm
from mrs_pipeline.models.base import BatchSettings, PairBatch, Scorer
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.factors import inverse_length, numbered_parts
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_FLOATS_AT_ONCE = 2**20
"""Attention weights that stand in memory together while everything is scored."""


class DmrlConfig(GradientConfig):
    """Settings of DMRL."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 3e-4, 1e-3),
        "n_factors": (2, 4, 8),
        "independence_weight": (0.0, 0.1, 1.0, 10.0),
    }

    embedding_size: int = Field(default=128, ge=1, le=4096)
    """Width D of user and item vectors, a multiple of `n_factors`."""
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    """Adam's step size."""
    n_factors: int = Field(default=4, ge=1, le=64)
    """Factors K that vectors are cut into."""
    n_negatives: int = Field(default=4, ge=1, le=64)
    """Items drawn for each positive; the one that scores best is ranked against."""
    hidden_size: int = Field(default=512, ge=1, le=8192)
    """Width H of the content encoders' hidden layer."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of hidden units that are left out in training."""
    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the squared norm of the batch's identifiers."""
    independence_weight: float = Field(default=1.0, ge=0)
    """Weight of the dependence between factors."""
    independence_rows: int = Field(default=128, ge=2, le=8192)
    """Rows of a batch on which the dependence is estimated."""

    @model_validator(mode="after")
    def _factors_share_the_width(self) -> "DmrlConfig":
        if self.embedding_size % self.n_factors:
            raise ValueError(
                f"n_factors {self.n_factors} does not divide embedding_size {self.embedding_size}"
            )
        return self


@dataclass(frozen=True)
class _Items:
    """What scores need of n items.

    Attributes:
        parts: [C, n, K, d] the factors of each channel; zero where an item lacks it.
        hidden: [C, n, K] what they add to the attention's hidden units, before its input is scaled.
        squares: [n, K] their squared length.
        present: [C, n] bool.
    """

    parts: Tensor
    hidden: Tensor
    squares: Tensor
    present: Tensor

    def take(self, place: Tensor) -> "_Items":
        """The items at `place`, [B] or [B, J], which takes the place of n."""
        rows, shape = place.flatten(), place.shape
        channels, _, n_factors, width = self.parts.shape
        return _Items(
            self.parts.index_select(1, rows).view(channels, *shape, n_factors, width),
            self.hidden.index_select(1, rows).view(channels, *shape, n_factors),
            self.squares.index_select(0, rows).view(*shape, n_factors),
            self.present.index_select(1, rows).view(channels, *shape),
        )


class Dmrl(IdentifierRecommender[DmrlConfig]):
    """Factors of identifier and modalities, weighted for each pair of user and item; see the module."""

    spec = ModelSpec(
        name="dmrl",
        title="DMRL",
        paper="Liu et al., TMM 2022",
        url="https://arxiv.org/abs/2203.05406",
        cells=frozenset({Cell.DISENTANGLED, Cell.FINE_ATTENTION}),
        complexity="O(B n F H + C D r^2)",
        features=FeatureUse.REQUIRED,
    )
    Config = DmrlConfig

    def __init__(self, config: DmrlConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._features, self._present = with_unit_features(inputs).features, inputs.present
        size, hidden = config.embedding_size, config.hidden_size
        self.first, self.second = nn.ModuleDict(), nn.ModuleDict()
        for modality, values in inputs.features.items():
            self.first[modality] = linear(values.shape[1], hidden, generator)
            self.second[modality] = linear(hidden, size, generator)
        channels, width = 1 + len(inputs.features), size // config.n_factors
        self.attention_hidden = linear((1 + channels) * width, channels, generator)
        self.attention = linear(channels, channels, generator, bias=False)

    def batch_settings(self) -> BatchSettings:
        """How many negatives a positive has."""
        return {"negatives": self.config.n_negatives}

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Ranking against the best of the negatives, the norm, the dependence of factors."""
        config, n_rows = self.config, len(batch.users)
        drawn = torch.cat([batch.positives.unsqueeze(1), batch.negatives.view(n_rows, -1)], dim=1)
        each, place = distinct(drawn)
        items = self._items(each)
        users = take_rows(self.user_embedding, batch.users)
        scores = self._pair_scores(factor_parts(users, config.n_factors), items, place)
        identifiers = take_rows(take_rows(self.item_embedding, each), place.flatten())
        norm = squared_norm(users, identifiers) / n_rows
        return {
            "bpr": bpr(scores[:, 0] - scores[:, 1:].amax(1)),
            "reg": config.reg_weight * norm,
            "independence": self._dependence(users, items, place[:, 0]),
        }

    def scorer(self) -> Scorer:
        """Content is encoded once; users are scored in chunks of fixed memory."""
        items = self._items(torch.arange(self.n_items, device=self.device))
        users = factor_parts(self.user_embedding, self.config.n_factors)
        size = max(1, _FLOATS_AT_ONCE // items.present.numel())

        def score(batch: Tensor) -> Tensor:
            rows = [self._all_scores(take_rows(users, chunk), items) for chunk in torch.split(batch, size)]
            return torch.cat(rows)

        return score

    def factors(self) -> tuple[Tensor, Tensor]:
        """Factors of the identifiers: of users [U, K, d] and of items [I, K, d]."""
        cut = self.config.n_factors
        return factor_parts(self.user_embedding, cut), factor_parts(self.item_embedding, cut)

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Each factor of the identifiers."""
        return numbered_parts(*self.factors())

    def _items(self, items: Tensor) -> _Items:
        config = self.config
        channels = [take_rows(self.item_embedding, items)]
        masks = [torch.ones(len(items), dtype=torch.bool, device=self.device)]
        for modality, values in self._features.items():
            present = take_rows(self._present[modality], items)
            channels.append(self._content(modality, take_rows(values, items)) * present.unsqueeze(1))
            masks.append(present)
        parts = factor_parts(torch.stack(channels), config.n_factors)
        weights = self._attention_inputs()[1:]
        return _Items(
            parts=parts,
            hidden=torch.einsum("cnkd,chd->hnk", parts, weights),
            squares=parts.square().sum((0, 3)),
            present=torch.stack(masks),
        )

    def _content(self, modality: str, rows: Tensor) -> Tensor:
        hidden = leaky_relu(self.first[modality](rows))
        if self.training:
            hidden = dropout(hidden, self.config.dropout, self.generator)
        content: Tensor = self.second[modality](normalize(hidden, dim=1))
        return content

    def _attention_inputs(self) -> Tensor:
        """W_h by the part of its input: [1 + C, C, d], the user's first."""
        weights: Tensor = self.attention_hidden.weight
        return weights.reshape(len(weights), len(weights) + 1, -1).transpose(0, 1)

    def _pair_scores(self, users: Tensor, items: _Items, place: Tensor) -> Tensor:
        """[B, J] of users [B, K, d] and the items at `place` [B, J]."""
        own = items.take(place)
        of_users = (users @ self._attention_inputs()[0].T).permute(2, 0, 1).unsqueeze(2)
        squares = users.square().sum(2).unsqueeze(1) + own.squares
        products = (own.parts * users.unsqueeze(1)).sum(-1)
        scores = self._attended(own.hidden + of_users, squares, products, own.present.unsqueeze(-1))
        return scores.sum(-1)

    def _all_scores(self, users: Tensor, items: _Items) -> Tensor:
        """[B, I] of users [B, K, d] and all items, a factor after another."""
        of_users = users @ self._attention_inputs()[0].T
        squares = users.square().sum(2)
        total = users.new_zeros(len(users), self.n_items)
        for factor in range(self.config.n_factors):
            hidden = of_users[:, factor].T.unsqueeze(2) + items.hidden[:, :, factor].unsqueeze(1)
            length = squares[:, factor].unsqueeze(1) + items.squares[:, factor]
            products = users[:, factor] @ items.parts[:, :, factor].transpose(1, 2)
            total += self._attended(hidden, length, products, items.present.unsqueeze(1))
        return total

    def _attended(self, hidden: Tensor, squares: Tensor, products: Tensor, present: Tensor) -> Tensor:
        """sum_c a_c softplus(product_c) for tensors [C, ...] and `squares` [...], whatever the dots are."""
        bias = self.attention_hidden.bias.view(-1, *[1] * squares.ndim)
        units = torch.tanh(hidden * inverse_length(squares) + bias)
        logits = torch.tensordot(self.attention.weight, units, dims=1)
        shares = torch.softmax(logits.masked_fill(~present, -torch.inf), dim=0)
        total: Tensor = (shares * softplus(products)).sum(0)
        return total

    def _dependence(self, users: Tensor, items: _Items, place: Tensor) -> Tensor:
        """Of factors of users and of every channel of the positives, on the first rows of the batch."""
        config = self.config
        if config.independence_weight == 0 or config.n_factors == 1:
            return users.new_zeros(())
        sample = items.take(place[: config.independence_rows])
        total = adjacent_dependence(factor_parts(users[: config.independence_rows], config.n_factors))
        for parts, present in zip(sample.parts, sample.present, strict=True):
            having = marked(present)
            rows = having.take(parts)
            if len(rows) > 1:
                total = total + adjacent_dependence(rows, having.weights)
        pairs = config.n_factors * (config.n_factors + 1) / 2
        scaled: Tensor = config.independence_weight * total / pairs / len(users)
        return scaled
