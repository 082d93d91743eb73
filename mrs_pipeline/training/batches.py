"""Where training rows come from: one source for each `BatchKind`, all on the device, no per-row Python.

A new kind of batch is a new class here, a new member of `BatchKind` and a line in
`SOURCES`. How a negative is drawn is in `functional.sampling`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar, cast

import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sampling import NegativeSampler
from mrs_pipeline.models.base import Batch, PairBatch, Recommender, UserRowBatch
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.sequence_batches import SequenceSource

BatchT_co = TypeVar("BatchT_co", bound=Batch, covariant=True)
BatchT = TypeVar("BatchT", bound=Batch)


class BatchSource(Protocol[BatchT_co]):
    """Gives one epoch of batches after another; has no state but the generator's, so a run can resume."""

    n_batches: int

    def epoch(self, generator: torch.Generator) -> Iterator[BatchT_co]:
        """The batches of one epoch in a random order."""
        ...


class PairSource:
    """Every training pair once an epoch, shuffled, each with one negative, or with `negatives` of them.

    Users who have taken every item leave no negative to draw; their pairs rank nothing and are left out.
    """

    def __init__(self, inputs: ModelInputs, batch_size: int, negatives: int = 1) -> None:
        self._negatives = negatives
        self._sampler = NegativeSampler.from_pairs(inputs.users, inputs.items, inputs.n_users)
        rankable = self._sampler.free[inputs.users] > 0
        self._users, self._items = inputs.users[rankable], inputs.items[rankable]
        if not len(self._users):
            raise InputError(
                "there is no training interaction to learn a ranking from: "
                "every user has either none or all of the items; loosen the filters or add data"
            )
        self._batch_size = batch_size
        self.n_batches = -(-len(self._users) // batch_size)

    def epoch(self, generator: torch.Generator) -> Iterator[PairBatch]:
        """Draws order and negatives of the whole epoch at once and yields slices of them."""
        order = torch.randperm(len(self._users), generator=generator, device=self._users.device)
        users, items = self._users[order], self._items[order]
        drawn_for = users if self._negatives == 1 else users.unsqueeze(1).expand(-1, self._negatives)
        negatives = self._sampler.draw(drawn_for, generator)
        for start in range(0, len(order), self._batch_size):
            rows = slice(start, start + self._batch_size)
            yield PairBatch(users[rows], items[rows], negatives[rows])


class UserRowSource:
    """Every user with a training row once an epoch, shuffled, with all the training items.

    As with pairs, `batch_size` counts training rows: a batch holds as many users as have about that many, so
    the memory of a step does not depend on how long histories are.
    """

    def __init__(self, inputs: ModelInputs, batch_size: int) -> None:
        if not len(inputs.users):
            raise InputError("there is no training interaction to learn from; loosen the filters or add data")
        self._history = interaction_matrix(inputs)
        self._users = torch.nonzero(inputs.users_seen()).flatten()
        self._per_batch = max(1, round(batch_size * len(self._users) / len(inputs.users)))
        self.n_batches = -(-len(self._users) // self._per_batch)

    def epoch(self, generator: torch.Generator) -> Iterator[UserRowBatch]:
        """Shuffles the users and yields slices of them."""
        order = torch.randperm(len(self._users), generator=generator, device=self._users.device)
        batches = torch.split(self._users[order], self._per_batch)
        lengths = self._history.indptr.diff()
        # the sizes of all batches in one transfer: a GPU is made to wait once an epoch
        sizes = torch.stack([lengths[users].sum() for users in batches]).tolist()
        for users, size in zip(batches, sizes, strict=True):
            yield UserRowBatch(users, self._history.take(users, size))


SOURCES: Mapping[BatchKind, Callable[..., BatchSource[Batch]]] = {
    BatchKind.PAIRS: PairSource,
    BatchKind.USER_ROWS: UserRowSource,
    BatchKind.SEQUENCES: SequenceSource,
}
"""Which source a model's `spec.batches` names; called with inputs, batch size and the model's `batch_settings`."""


def batch_source(
    model: Recommender[ModelConfig, BatchT], inputs: ModelInputs, batch_size: int
) -> BatchSource[BatchT]:
    """The source of the batches that `model` learns from.

    Raises:
        InputError: there is nothing to draw batches from.
    """
    source = SOURCES[model.spec.batches](inputs, batch_size, **model.batch_settings())
    # a test holds every model's class of batches against the kind that its spec names
    return cast("BatchSource[BatchT]", source)
