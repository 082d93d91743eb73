"""A model that ranks for histories of anybody, in the place of one that ranks for the users it was trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.base import AnyRecommender, Scorer
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.types import Interactions


@dataclass(frozen=True)
class FoldedIn:
    """Scores as a model's, user b being the history b.

    Attributes:
        model: that folds histories in (`Recommender.folds_in`).
        histories: [B].
    """

    model: AnyRecommender
    histories: OrderedHistories

    @classmethod
    def of_rows(cls, model: AnyRecommender, rows: Interactions) -> "FoldedIn":
        """Everyone that `rows` count is one history, in the order of time where times are known."""
        return cls(model, OrderedHistories.of(rows, model.device))

    @property
    def spec(self) -> ModelSpec:
        """The model's."""
        return self.model.spec

    @property
    def n_items(self) -> int:
        """The model's."""
        return self.model.n_items

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self.model.device

    @property
    def rankable(self) -> Tensor:
        """The model's."""
        return self.model.rankable

    def eval(self) -> object:
        """Have the model ready to score."""
        return self.model.eval()

    def scorer(self) -> Scorer:
        """Rows of the histories [b] -> scores [b, I]."""
        score = self.model.history_scorer()
        return lambda rows: score(self.histories.take(rows))


Ranker = AnyRecommender | FoldedIn
"""What ranks: a model for its users, or for histories."""
