"""DICER-style. After Zhang et al., "Content-Collaborative Disentanglement Representation Learning ...", RecSys 2020.

In full: "Content-Collaborative Disentanglement Representation Learning for Enhanced Recommendation".
https://doi.org/10.1145/3383313.3412239

Equation: r_u = x_u / |x_u| of a user's training items, dropped out; f_u the modalities of sum_i r_ui x_i^m/|x_i^m| side
by side, each of length one. Two encoders tanh(W r + b), then linear, give Gaussians of collaborative codes z^c from r_u
and of content codes z^f from f_u. p_u = softmax_i(<z^c, e_i> + <z^f, sum_m W_m x_i^m/|x_i^m| + b_m>) over the items
with training rows; f^_u = a network of z^f. loss = mean over users of -sum_(i in x_u) log p_ui + content_weight * |f^_u
- f_u|^2 + kl_weight * sum over both codes (information + tc_weight * correlation + margins) + cross_weight * the
dependence of z^c and z^f (`functional.total_correlation`). y_ui = the logit with both codes at their means.

What is a guess: the paper exists as text alone. From it come codes of two kinds that are independent of each other, the
divergence of each taken apart so that its dimensions are too, and a decoder of interactions and content together. The
encoders, what stands for a user's content, the linear decoder whose content half reads items' content, so that cold
items are ranked, the estimates over a batch (its first `n_compared` users) the bound of log-variances (5, by tanh) and
all weights are ours. An item that lacks a modality brings none of it, and a learned vector where it is ranked.

Complexity: O(B I D + e (H + F) + B H F + n^2 D) a step with e training rows, H hidden units, n users compared; memory
O(B I + n^2 D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.folding import history_matrix
from mrs_pipeline.functional.kernels.row_sums import weighted_row_sums
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.functional.total_correlation import cross_dependence, split_divergence
from mrs_pipeline.models.base import HistoryVectors, Recommender, UserRowBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_BOUND = 5.0
"""Of log-variances, so that no density is infinite."""
_CODES_AT_ONCE = 1024
"""Users whose codes are computed together."""


class DicerConfig(GradientConfig):
    """Settings of DICER-style."""

    search_space: ClassVar[SearchSpace] = {
        "kl_weight": (0.01, 0.05, 0.2),
        "tc_weight": (1.0, 5.0),
        "cross_weight": (0.0, 0.1, 1.0),
        "dropout": (0.2, 0.5, 0.8),
    }

    hidden_size: int = Field(default=600, ge=1, le=8192)
    """Width H of the encoders' and of the content decoder's hidden layer."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of a user's items that the encoders do not see."""
    content_weight: float = Field(default=1.0, ge=0)
    """Weight of the distance of decoded content."""
    kl_weight: float = Field(default=0.2, ge=0)
    """Weight of the codes' divergence from the prior."""
    tc_weight: float = Field(default=5.0, ge=0)
    """Weight, within that divergence, of the dependence of dimensions."""
    cross_weight: float = Field(default=1.0, ge=0)
    """Weight of the dependence of collaborative and content codes."""
    n_compared: int = Field(default=256, ge=2, le=4096)
    """Users n of a batch whose codes are compared with one another."""


class Dicer(Recommender[DicerConfig, UserRowBatch]):
    """An auto-encoder with codes of behaviour and of content that are kept independent; see the module."""

    spec = ModelSpec(
        name="dicer",
        title="DICER-style",
        paper="after Zhang et al., RecSys 2020",
        url="https://doi.org/10.1145/3383313.3412239",
        cells=frozenset({Cell.DISENTANGLED, Cell.OTHER_FUSION}),
        complexity="O(B I D + e (H + F) + B H F + n^2 D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.USER_ROWS,
        histories=True,
    )
    Config = DicerConfig

    def __init__(self, config: DicerConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, hidden = config.embedding_size, config.hidden_size
        unit = with_unit_features(inputs)
        self._history, self._features = interaction_matrix(inputs), unit.features
        width = sum(rows.shape[1] for rows in self._features.values())
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.projection = ModalityProjection(unit, size, generator)
        self.first: nn.Parameter = embedding(inputs.items_seen(), hidden, generator)
        self.first_bias = nn.Parameter(torch.zeros(hidden, device=inputs.device))
        self.second = linear(hidden, 2 * size, generator)
        self.content_first = linear(width, hidden, generator)
        self.content_second = linear(hidden, 2 * size, generator)
        self.decoder_first = linear(size, hidden, generator)
        self.decoder_second = linear(hidden, width, generator)

    def loss(self, batch: UserRowBatch) -> dict[str, Tensor]:
        """Likelihood of the users' items, their content, and what codes are held to."""
        config, n = self.config, self.config.n_compared
        weights = _unit_weights(batch.rows)
        seen = dropout(weights, config.dropout if self.training else 0.0, self.generator)
        behaviour = self._behaviour(batch.rows, seen)
        content = self._content(self._content_of(batch.rows, seen))
        codes, splits = [], []
        for means, log_variances in (behaviour, content):
            noise = torch.empty_like(means).normal_(generator=self.generator)
            codes.append(means + (log_variances / 2).exp() * noise)
            splits.append(split_divergence(codes[-1][:n], means[:n], log_variances[:n]))
        divergence = torch.stack(
            [each.information + config.tc_weight * each.correlation + each.margins for each in splits]
        )
        decoded = self.decoder_second(self.decoder_first(codes[1]).tanh())
        distance = (decoded - self._content_of(batch.rows, weights)).square().sum(1).mean()
        return {
            "likelihood": self._nll(batch.rows, torch.cat(codes, dim=1)),
            "content": config.content_weight * distance,
            "kl": config.kl_weight * divergence.sum(),
            "dependence": config.cross_weight * cross_dependence(*splits),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Mean codes of users [U, 2 D] and what decodes them [I, 2 D]."""
        everyone = torch.arange(self.n_users, device=self.device)
        users = [self._codes(self._history.take(some)) for some in torch.split(everyone, _CODES_AT_ONCE)]
        return torch.cat(users), self._item_vectors()

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """Codes of any histories."""

        def codes(histories: OrderedHistories) -> Tensor:
            return self._codes(history_matrix(histories, self.n_items))

        return codes, self._item_vectors()

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What behaviour says, and what content does."""
        users, items = (each.chunk(2, dim=1) for each in self.representations())
        return dict(zip(("behaviour", "content"), zip(users, items, strict=True), strict=True))

    def _item_vectors(self) -> Tensor:
        return torch.cat([self.item_embedding, self.projection.summed()], dim=1)

    def _codes(self, rows: Csr) -> Tensor:
        """Mean codes [B, 2 D]."""
        weights = _unit_weights(rows)
        content = self._content(self._content_of(rows, weights))
        return torch.cat([self._behaviour(rows, weights)[0], content[0]], dim=1)

    def _behaviour(self, rows: Csr, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances [B, D] from weights [e, 1] of the items of `rows`."""
        summed = weighted_row_sums(rows, weights, self.first).squeeze(1)
        return _gaussian(self.second((summed + self.first_bias).tanh()))

    def _content(self, content: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances [B, D] from f [B, F]."""
        return _gaussian(self.content_second(self.content_first(content).tanh()))

    def _content_of(self, rows: Csr, weights: Tensor) -> Tensor:
        """F [B, F]: the modalities of weighted items side by side, each of length one; zero where there is none."""
        summed = [weighted_row_sums(rows, weights, table).squeeze(1) for table in self._features.values()]
        return torch.cat([normalize(each, dim=1) for each in summed], dim=1)

    def _nll(self, rows: Csr, codes: Tensor) -> Tensor:
        """Mean over users of -sum_(i in x_u) log p_ui; items without a training row are in no denominator."""
        logits = codes @ self._item_vectors().T
        total = logits.masked_fill(~self._seen, -torch.inf).logsumexp(1)
        owners = rows.row_numbers()
        own = take_rows(logits.flatten(), owners * self.n_items + rows.indices)
        nll: Tensor = (take_rows(total, owners) - own).sum() / len(codes)
        return nll


def _gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Means and bounded log-variances [B, D] of outputs [B, 2 D]."""
    means, log_variances = outputs.chunk(2, dim=1)
    return means, _BOUND * (log_variances / _BOUND).tanh()


def _unit_weights(rows: Csr) -> Tensor:
    """[e, 1] of each entry, so that a row has length one."""
    counts = rows.indptr.diff().clamp(min=1).to(torch.get_default_dtype())
    return take_rows(counts.rsqrt(), rows.row_numbers()).unsqueeze(1)
