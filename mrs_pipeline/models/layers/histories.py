"""Models whose user is a history: settings, what is known of users, tokens to vectors, scores after the latest token.

The next-item loss over identifiers and features is in `next_item`, attention over a sequence in `causal_attention`.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar, Self, TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct, positions
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import BatchSettings, HistoryVectors, Recommender, Scorer, SequenceBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import vector, xavier
from mrs_pipeline.models.layers.parts import Parts
from mrs_pipeline.types import Interactions

_HISTORIES_AT_ONCE = 512
"""Histories whose states are in memory together when scoring."""


class HistoryConfig(GradientConfig):
    """Settings that all models of histories have."""

    search_space: ClassVar[SearchSpace] = {"dropout": (0.1, 0.2, 0.5), "n_layers": (1, 2)}

    max_length: int = Field(default=50, ge=1, le=1000)
    """Latest tokens of a history that are looked at."""
    n_layers: int = Field(default=2, ge=1, le=16)
    """Blocks."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of entries zeroed in training."""


class HeadsConfig(HistoryConfig):
    """Settings of models of histories with attention."""

    search_space: ClassVar[SearchSpace] = {**HistoryConfig.search_space, "n_heads": (1, 2)}

    n_heads: int = Field(default=1, ge=1, le=64)
    """Attention heads; must divide `embedding_size`."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide embedding_size {self.embedding_size}")
        return self


HistoryT_co = TypeVar("HistoryT_co", bound=HistoryConfig, covariant=True)


class HistoryRecommender(Recommender[HistoryT_co, SequenceBatch]):
    """Scores every item by its vector and the state after a user's latest token.

    A subclass says what the parts of items are (`item_parts`) and how parts of tokens become states (`states`).
    """

    def __init__(
        self,
        config: HistoryT_co,
        inputs: ModelInputs,
        generator: torch.Generator,
    ) -> None:
        super().__init__(config, inputs, generator)
        assert inputs.times is not None, "the base refuses models of histories without times"
        self._trained = (inputs.users, inputs.items, inputs.times)
        self._histories = self._known_histories(None)

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Part -> vectors [n, D] of `items` [n] int64, or of all."""
        raise NotImplementedError

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """States [B, K, D] after each token of rows padded on the left; `real` [B, K] bool is False at padding.

        A state may depend on its own and on earlier tokens only.
        """
        raise NotImplementedError

    def parts_of_times(self, tokens: Tensor, times: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002
        """Part -> vectors [B, K, D] that tokens have of when they were taken; only where `spec.times` any.

        Args:
            tokens: [B, K] int64.
            times: [B, K] int64 as in `SequenceBatch`; None where the order is all that is known.
        """
        return {}

    def candidate_vectors(self, parts: Parts) -> Tensor:
        """[n, D] what a state is compared with: the sum of an item's parts, so that cold items have a vector too."""
        return torch.stack(list(parts.values())).sum(0)

    def item_paths(self) -> dict[str, Tensor]:
        """The parts of an item that a state is compared with."""
        return dict(self.item_parts())

    def batch_settings(self) -> BatchSettings:
        """Subsequences as long as the model looks back, with times where it reads them."""
        return {"length": self.config.max_length, "times": self.spec.times}

    def observe(self, known: Interactions | None) -> None:
        """Histories go on with what is `known`, or with None end with the training rows again."""
        self._histories = self._known_histories(known)

    def scorer(self) -> Scorer:
        """States after the latest known token times the vectors of all items, which are made once."""
        after, items = self._states_after()
        columns = items.T.contiguous()
        return lambda users: after(self._histories, users) @ columns

    def representations(self) -> tuple[Tensor, Tensor]:
        """States [U, D] after the latest known token, and what they are compared with [I, D]."""
        after, items = self._states_after()
        return after(self._histories, torch.arange(self.n_users, device=self.device)), items

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """States after the latest token of any histories."""
        after, items = self._states_after()
        return lambda histories: after(histories, torch.arange(len(histories), device=self.device)), items

    def _states_after(self) -> tuple[Callable[[OrderedHistories, Tensor], Tensor], Tensor]:
        """A function from histories and rows of them [B] to states [B, D], and the vectors of all items [I, D]."""
        parts = self.item_parts()
        table = self._with_start(parts)

        def state(histories: OrderedHistories, rows: Tensor) -> Tensor:
            length = self.config.max_length
            tokens = histories.latest(rows, length)
            places = torch.where(tokens == PAD, self.n_items + 1, tokens)
            seen = _looked_up(table, places)
            if self.spec.times:
                times = histories.times_of_rows(rows, histories.lengths[rows] + 1, length)
                seen |= self.parts_of_times(tokens, times)
            return self.states(seen, tokens != PAD)[:, -1]

        # callers bound users times items; what stands in memory here is users times positions
        return lambda histories, rows: torch.cat(
            [state(histories, some) for some in torch.split(rows, _HISTORIES_AT_ONCE)]
        ), self.candidate_vectors(parts)

    @property
    def rate(self) -> float:
        """Share of entries to drop now: none when scoring."""
        return self.config.dropout if self.training else 0.0

    def make_start(self, parts: Iterable[str], size: int) -> None:
        """The start token's learned vector for each part."""
        self.start = nn.ParameterDict({part: vector(size, self.generator) for part in parts})

    def within_length(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """The batch's tokens and targets, cut to what the model looks at."""
        length = self.config.max_length
        return batch.tokens[:, -length:], batch.targets[:, -length:]

    def asked(self, targets: Tensor, batch: SequenceBatch) -> Tensor:
        """[P] int64 places in the flat `targets` [B, K] of `within_length` that are no padding."""
        known = targets.shape == batch.targets.shape
        return positions((targets != PAD).flatten(), batch.n_targets if known else None)

    def items_of(self, tokens: Tensor, *others: Tensor) -> Tensor:
        """Items [n] ascending among `tokens` [B, K], without padding and starts, and `others` [m], which are items."""
        standing_in = others[0][:1]
        items = torch.where((tokens != PAD) & (tokens != self.n_items), tokens, standing_in)
        return distinct(torch.cat([items.flatten(), *others]))[0]

    def parts_of_tokens(self, parts: Parts, items: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Vectors [B, K, D] of tokens, from the parts of `items` [n] ascending, which hold all that occur."""
        places = torch.searchsorted(items, tokens.contiguous())  # the start token is above every item
        return _looked_up(self._with_start(parts), torch.where(tokens == PAD, len(items) + 1, places))

    def _known_histories(self, known: Interactions | None) -> OrderedHistories:
        users, items, times = self._trained
        if known is not None and len(known):
            if known.times is None:
                raise ValueError("interactions to observe must have times, as those of training have")
            more = (known.users, known.items, known.times)
            users, items, times = (
                torch.cat([old, torch.from_numpy(new).to(self.device)])
                for old, new in zip(self._trained, more, strict=True)
            )
        return OrderedHistories.from_rows(users, items, times, self.n_users, self.n_items)

    def _with_start(self, parts: Parts) -> dict[str, Tensor]:
        """Two rows more: the start token's, and zeros for padding."""
        return {
            name: torch.cat([rows, self.start[name].unsqueeze(0), rows.new_zeros(1, rows.shape[1])])
            for name, rows in parts.items()
        }


def position_embedding(length: int, size: int, generator: torch.Generator) -> nn.Parameter:
    """[length, size] a vector for each place counted from the latest token, which is the last row."""
    return nn.Parameter(xavier((length, size), generator))


def _looked_up(tables: Parts, places: Tensor) -> dict[str, Tensor]:
    flat = places.flatten()
    return {name: take_rows(table, flat).view(*places.shape, -1) for name, table in tables.items()}
