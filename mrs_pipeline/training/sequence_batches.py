"""Batches of `BatchKind.SEQUENCES`: subsequences of histories in which every position predicts the next item."""

from collections.abc import Iterator

import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs


class SequenceSource:
    """Every training interaction is a target once an epoch, in shuffled batches of whole subsequences.

    A history longer than `length` gives several subsequences, so that its older part is learned from too. As with
    pairs, `batch_size` counts training rows: a batch holds as many subsequences as have about that many targets,
    and so the memory of a step does not depend on how long histories are.

    Args:
        inputs: of the model.
        batch_size: training rows of a batch.
        length: tokens of a row at the most.
        times: whether batches say when tokens were taken.
    """

    def __init__(
        self, inputs: ModelInputs, batch_size: int, length: int = 50, *, times: bool = False
    ) -> None:
        if inputs.times is None or not len(inputs.users):
            raise InputError(
                "there is no training interaction with a time to learn an order from; loosen the filters or add data"
            )
        self._histories = OrderedHistories.from_rows(
            inputs.users, inputs.items, inputs.times, inputs.n_users, inputs.n_items
        )
        self._length, self._timed = length, times
        self._users, self._ends = self._histories.subsequences(length)
        self._per_batch = max(1, round(batch_size * len(self._users) / len(inputs.users)))
        self.n_batches = -(-len(self._users) // self._per_batch)

    def epoch(self, generator: torch.Generator) -> Iterator[SequenceBatch]:
        """Shuffles the subsequences and yields slices of them, each no wider than its longest."""
        order = torch.randperm(len(self._users), generator=generator, device=self._users.device)
        batches = torch.split(order, self._per_batch)
        # widths and targets of all batches in one transfer: a GPU is made to wait once an epoch
        steps = self._ends.clamp(max=self._length)
        sizes = torch.stack(
            [torch.stack([steps[rows].max(), steps[rows].sum()]) for rows in batches]
        ).tolist()
        for rows, (width, n_targets) in zip(batches, sizes, strict=True):
            users, ends = self._users[rows], self._ends[rows]
            tokens = self._histories.rows(users, ends + 1, width + 1)
            inputs, targets = tokens[:, :-1], tokens[:, 1:]
            times = self._histories.times_of_rows(users, ends, width) if self._timed else None
            yield SequenceBatch(users, inputs, targets.masked_fill(inputs == PAD, PAD), n_targets, times)
