"""Several processes that train one model, each on a part of every batch: `torchrun` starts them, DDP adds gradients up.

All draw the same epochs, since each epoch starts from the first one's generator. A step's gradient is the mean over
all rows of the batch, as in one process; what a loss does not average over rows, such as the norm of a batch's vectors,
is averaged over the parts. The first process alone validates, writes checkpoints and reports.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, distributed, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.base import Batch, PairBatch, Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.spec import BatchKind

_STARTED_BY_TORCHRUN: Final = "TORCHELASTIC_RUN_ID"


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Attributes:
        rank: number of this one.
        size: how many there are; 1 where it is alone.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "World":
        """The processes that `torchrun` has started, joined at the first call; else this one alone."""
        if not distributed.is_available() or _STARTED_BY_TORCHRUN not in os.environ:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def alone(self) -> bool:
        """Whether nobody else trains this model."""
        return self.size == 1

    def require(self, name: str, kind: BatchKind) -> None:
        """InputError where the batches of a model cannot be divided."""
        if not self.alone and kind is not BatchKind.PAIRS:
            raise InputError(
                f"model '{name}' does not learn from pairs, whose batches alone can be divided among {self.size} "
                "processes; start it without torchrun"
            )

    def require_alone(self, option: str) -> None:
        """InputError where several processes train and an option is for one alone."""
        if not self.alone:
            raise InputError(
                f"`training: {{{option}: ...}}` is for one process and {self.size} train this model; start it "
                "without torchrun, or leave the option out"
            )

    def start_epoch(self, generator: torch.Generator) -> None:
        """Has all processes draw what the first one draws from now on."""
        if self.alone:
            return
        state = generator.get_state()
        distributed.broadcast(state, src=0)
        generator.set_state(state)

    def score(self, validate: Callable[[], float]) -> float:
        """The first process's score, for all."""
        if self.alone:
            return validate()
        found = torch.tensor([validate() if self.rank == 0 else 0.0], dtype=torch.float64)
        distributed.broadcast(found, src=0)
        return float(found)

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """This process's rows of a batch, and what their mean weighs in the mean of all processes' means."""
        if self.alone or not isinstance(batch, PairBatch) or len(batch.users) < self.size:
            return batch, 1.0
        rows = slice(self.rank, None, self.size)
        own = PairBatch(batch.users[rows], batch.positives[rows], batch.negatives[rows])
        return own, len(own.users) * self.size / len(batch.users)

    def step_loss(
        self, model: Recommender[ModelConfig, Batch], loss: Callable[[Batch], dict[str, Tensor]]
    ) -> Callable[[Batch], dict[str, Tensor]]:
        """A model's loss whose gradients are the mean over all processes."""
        if self.alone:
            return loss
        wrapped = nn.parallel.DistributedDataParallel(_Step(model, loss), broadcast_buffers=False)

        def shared(batch: Batch) -> dict[str, Tensor]:
            own, weight = self.part(batch)
            terms: dict[str, Tensor] = wrapped(own)
            return {name: weight * term for name, term in terms.items()}

        return shared


class _Step(nn.Module):
    """A model whose forward pass is its loss."""

    def __init__(self, model: nn.Module, loss: Callable[[Batch], dict[str, Tensor]]) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self._loss(batch)
