"""Behaviour and content as the two sides of a user's or item's vector, drawn together by contrast (MGCN, SMORE)."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, info_nce_counted, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender, items_to_users


class TwoSidedConfig(ItemGraphConfig):
    """Settings of models with two sides."""

    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the batch's vectors."""
    cl_weight: float = Field(default=1e-2, ge=0)
    """Weight of the contrast between side and behaviour."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""


TwoSidedT_co = TypeVar("TwoSidedT_co", bound=TwoSidedConfig, covariant=True)


class TwoSidedRecommender(LightGcnRecommender[TwoSidedT_co]):
    """e = c + side with c = LightGCN(E); the side is made of views of content, which items pass on to users.

    y_ui = <e_u, e_i>; loss = BPR + reg_weight * half the squared norm of the batch's e + cl_weight *
    (InfoNCE(side_i, c_i) over its positive items + InfoNCE(side_u, c_u) over its users). A subclass says what the
    views are (`item_views`) and how they become a side (`side`).
    """

    def __init__(self, config: TwoSidedT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._to_users = items_to_users(inputs)

    def set_views(self, inputs: ModelInputs, has: Tensor) -> None:
        """To be called by the constructor; `has` [I, V] bool says which views say anything of an item."""
        self._item_has, self._user_has = has, users_with(inputs, has)

    def item_views(self) -> list[Tensor]:
        """Views [I, D] of all items."""
        raise NotImplementedError

    def side(self, behaviour: Tensor, views: list[Tensor], has: Tensor) -> Tensor:
        """[n, D] from c [n, D], views [n, D] each and which of them say anything of the nodes [n, V] bool."""
        raise NotImplementedError

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors; contrast of side and behaviour."""
        rows, config = DistinctRows.of(batch), self.config
        (users, user_views), (items, item_views) = self._behaviour_and_views()
        user = self._rows(rows.users, users, user_views, self._user_has)
        item = self._rows(rows.items, items, item_views, self._item_has)
        final = rows.pair_rows(user.final, item.final)
        contrast = user.contrast(rows.user_counts, config.temperature) + item.contrast(
            rows.positive_counts, config.temperature
        )
        return {
            "bpr": bpr_inner(*final),
            "reg": config.reg_weight * squared_norm(*final),
            "contrast": config.cl_weight * contrast,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Behaviour plus side, users [U, D] and items [I, D]."""
        (users, user_views), (items, item_views) = self._behaviour_and_views()
        return (
            users + self.side(users, user_views, self._user_has),
            items + self.side(items, item_views, self._item_has),
        )

    def _behaviour_and_views(self) -> tuple[tuple[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]:
        """Users' c [U, D] and views [U, D] each, then the items'."""
        users, items = self.propagated()
        views = self.item_views()
        return (users, [self._to_users @ view for view in views]), (items, views)

    def _rows(self, rows: Tensor, behaviour: Tensor, views: list[Tensor], has: Tensor) -> "TwoSides":
        """Of the nodes `rows` [n]; the side is computed for these alone."""
        behaviour, has = take_rows(behaviour, rows), take_rows(has, rows)
        side = self.side(behaviour, [take_rows(view, rows) for view in views], has)
        return TwoSides(behaviour, side, has.any(1))


@dataclass(frozen=True)
class TwoSides:
    """Nodes whose final vector is what behaviour says of them plus what content says.

    Attributes:
        behaviour: [n, D].
        side: [n, D].
        known: [n] bool, whether there is content.
    """

    behaviour: Tensor
    side: Tensor
    known: Tensor

    @property
    def final(self) -> Tensor:
        """[n, D]."""
        return self.behaviour + self.side

    def contrast(self, counts: Tensor, temperature: float) -> Tensor:
        """InfoNCE of side and behaviour where there is content; node i stands `counts[i]` times in the batch."""
        return _counted_contrast(self.side, self.behaviour, counts * self.known, temperature)


def _counted_contrast(anchors: Tensor, others: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """`info_nce_counted` over the rows with a count above zero; zero where there is none."""
    rows = marked(counts > 0)
    if rows.none:
        return anchors.sum() * 0
    return info_nce_counted(rows.take(anchors), rows.take(others), rows.take(counts), temperature)


def users_with(inputs: ModelInputs, items: Tensor) -> Tensor:
    """[U, V] bool: whether a user has taken any of the `items` [I, V] that are marked."""
    counts = torch.zeros(inputs.n_users, items.shape[1], device=inputs.device)
    return counts.index_add_(0, inputs.users, items[inputs.items].float()) > 0
