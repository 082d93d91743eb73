"""Where training rows come from: one source for each `BatchKind`, all on the device, no per-row Python.

A new kind of batch (sequences, user rows) is a new class here, a new member of `BatchKind` and a line in
`SOURCES`. How a negative is drawn is in `functional.sampling`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sampling import NegativeSampler
from mrs_pipeline.models.base import BatchKind, ModelInputs, PairBatch
from mrs_pipeline.training.sequence_batches import SequenceSource


class BatchSource(Protocol):
    """Gives one epoch of batches after another; has no state but the generator's, so a run can resume."""

    n_batches: int

    def epoch(self, generator: torch.Generator) -> Iterator[Any]:
        """The batches of one epoch in a random order."""
        ...


class PairSource:
    """Every training pair once an epoch, shuffled, each with one negative.

    Users who have taken every item leave no negative to draw; their pairs rank nothing and are left out.
    """

    def __init__(self, inputs: ModelInputs, batch_size: int) -> None:
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
        negatives = self._sampler.draw(users, generator)
        for start in range(0, len(order), self._batch_size):
            rows = slice(start, start + self._batch_size)
            yield PairBatch(users[rows], items[rows], negatives[rows])


SOURCES: Mapping[BatchKind, Callable[..., BatchSource]] = {
    BatchKind.PAIRS: PairSource,
    BatchKind.SEQUENCES: SequenceSource,
}
"""Which source a model's `spec.batches` names; called with inputs, batch size and the model's `batch_settings`."""
