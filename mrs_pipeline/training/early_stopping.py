"""When to stop and which epoch was best: a state machine without tensors, clocks or files."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class EarlyStopping:
    """Counts validations since the last gain.

    Attributes:
        patience: validations without a gain after which training stops.
        best_score: highest score so far; a gain must exceed it.
        best_epoch: epoch of that score, 0 before the first validation.
        waited: validations since.
    """

    patience: int
    best_score: float = float("-inf")
    best_epoch: int = 0
    waited: int = 0

    def update(self, epoch: int, score: float) -> bool:
        """Takes in one validation; True if it is the best so far."""
        if score > self.best_score:
            self.best_score, self.best_epoch, self.waited = score, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def finished(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint; JSON once `best_score` is finite."""
        return asdict(self)
