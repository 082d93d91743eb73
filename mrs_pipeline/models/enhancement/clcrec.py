"""CLCRec. Wei et al., "Contrastive Learning for Cold-Start Recommendation", MM 2021.

https://arxiv.org/abs/2107.05315

Equation: content g(x) = W2 LeakyReLU(sum_m W1^m x^m/|x^m| + b1) + b2; with p_u and q_i identifiers' vectors and
N drawn items, nce(a, b) = -mean log of e^(<a, b_own> / temperature) over its sum with the N others;
loss = content_weight * nce(q_i / |q_i|, g / |g|) + (1 - content_weight) * nce(p_u, mixed items)
     + reg_weight * (mean |p_u| + mean |q|) / 2,
where of the mixed items a share `mixing`, drawn at random, is g(x_i) and the rest q_i.
y_ui = <p_u, q_i> for items that training has seen, <p_u, g(x_i)> for the others.

Deviations: the N other items are drawn once a step and shared by its rows, which turns N gathers a row into one
product; where a user has taken one of them, it is no negative of that user. An item that lacks a modality gets
a learned vector in place of its W1^m x^m. The share `mixing` of the mixed items is replaced on average, each item
by its own coin (the published code draws rows with repetition, so that its .5 replaces some .39). The mean |q| is over
the batch's own and the N drawn items, once each; where drawn items are not shared they outweigh the others there.
Corrected: which items are scored by which vector is decided by a mask over item numbers, and not by their order.

Complexity: O(B N D + (B + N) F H) a step with H hidden units, plus Adam's O((U + I) D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import leaky_relu, normalize

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.membership import taken
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class ClcRecConfig(GradientConfig):
    """Settings of CLCRec."""

    search_space: ClassVar[SearchSpace] = {
        "content_weight": (0.1, 0.3, 0.5, 0.7, 0.9),
        "temperature": (0.1, 0.2, 0.5, 1.0, 2.0),
        "reg_weight": (0.1, 0.01, 0.001),
    }

    hidden_size: int = Field(default=256, ge=1, le=8192)
    """Width H of the content encoder's hidden layer."""
    n_negatives: int = Field(default=128, ge=1, le=65536)
    """Items N that each step draws to contrast with."""
    content_weight: float = Field(default=0.5, gt=0, lt=1)
    """Share of the contrast between an item's identifier and its content; the rest is users against items."""
    mixing: float = Field(default=0.5, ge=0, le=1)
    """Share of items that stand for themselves by their content when users are contrasted with items."""
    temperature: float = Field(default=2.0, gt=0)
    """Divides the products in both contrasts."""
    reg_weight: float = Field(default=0.1, ge=0)
    """Weight of the mean lengths of users' and items' vectors."""


class ClcRec(IdentifierRecommender[ClcRecConfig]):
    """Content taught to stand in for an item's identifier; see the module."""

    spec = ModelSpec(
        name="clcrec",
        title="CLCRec",
        paper="Wei et al., MM 2021",
        url="https://arxiv.org/abs/2107.05315",
        cells=frozenset({Cell.CONTRASTIVE}),
        complexity="O(B N D + (B + N) F H)",
        features=FeatureUse.REQUIRED,
    )
    Config = ClcRecConfig

    def __init__(self, config: ClcRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._known, self._cold = (torch.nonzero(mask).flatten() for mask in (self._seen, ~self._seen))
        self._history = interaction_matrix(inputs)
        self.first = ModalityProjection(with_unit_features(inputs), config.hidden_size, generator)
        self.second = linear(config.hidden_size, config.embedding_size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Items' identifiers against contents, users against items of both kinds."""
        config = self.config
        users = take_rows(self.user_embedding, batch.users)
        drawn = self._draw()
        items, place = distinct(torch.cat([batch.positives, drawn]))
        identifiers, content = take_rows(self.item_embedding, items), self._content(items)
        own, others = place[: len(users)], place[len(users) :]
        units = normalize(content, dim=1)
        of_content = _product_contrast(
            take_rows(normalize(identifiers, dim=1), own) / config.temperature,
            take_rows(units, own),
            take_rows(units, others),
            batch.positives.unsqueeze(1) == drawn,
        )
        mixed = self._mixed(take_rows(identifiers, place), take_rows(content, place))
        positives, negatives = mixed[: len(users)], mixed[len(users) :]
        of_users = _product_contrast(
            users / config.temperature, positives, negatives, self._taken(batch.users, drawn)
        )
        lengths = users.norm(dim=1).mean() + take_rows(identifiers, place).norm(dim=1).mean()
        return {
            "content": config.content_weight * of_content,
            "users": (1 - config.content_weight) * of_users,
            "reg": config.reg_weight * lengths / 2,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D]; items [I, D] by identifier where training has seen them, else by content."""
        items: Tensor = self.item_embedding
        if len(self._cold):
            items = items.index_copy(0, self._cold, self._content(self._cold))
        return self.user_embedding, items

    def _content(self, items: Tensor) -> Tensor:
        """g(x) [B, D] of `items` [B]."""
        content: Tensor = self.second(leaky_relu(self.first.summed(items)))
        return content

    def _draw(self) -> Tensor:
        """[N] items of the training rows, uniformly."""
        size = (self.config.n_negatives,)
        ranks = torch.randint(len(self._known), size, generator=self.generator, device=self.device)
        return self._known[ranks]

    def _mixed(self, identifiers: Tensor, content: Tensor) -> Tensor:
        """Rows of `content` with probability `mixing`, else of `identifiers`."""
        coins = torch.rand(len(content), 1, generator=self.generator, device=self.device)
        return torch.where(coins < self.config.mixing, content, identifiers)

    def _taken(self, users: Tensor, drawn: Tensor) -> Tensor:
        """[B, N] bool: whether each user has taken each drawn item."""
        items, column = distinct(drawn)
        return taken(self._history, users, items)[:, column]


def _product_contrast(anchors: Tensor, own: Tensor, others: Tensor, excluded: Tensor) -> Tensor:
    """-mean log softmax of <anchor, own> among it and <anchor, others> [B, N] where not `excluded`."""
    positive = (anchors * own).sum(1, keepdim=True)
    negative = (anchors @ others.T).masked_fill(excluded, -torch.inf)
    return (torch.cat([positive, negative], dim=1).logsumexp(1) - positive.squeeze(1)).mean()
