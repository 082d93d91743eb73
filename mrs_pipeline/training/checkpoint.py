"""The state of an unfinished run as one safetensors file with JSON in its header, replaced atomically.

Finished models are saved by `fitting.save`; this file is only for going on after an interruption, and a
run that goes on ends bit-equal to one that was never interrupted. No pickle.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class RunState:
    """Everything that the next epoch depends on.

    Attributes:
        weights: the model's state dict.
        best: the state dict of the best epoch so far.
        optimizer: Adam's tensors, `<parameter number>.<name>`.
        generator: state of the model's random generator.
        facts: epoch, early stopping and history, as JSON values.
    """

    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    generator: Tensor
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class CheckpointFile:
    """Where one run keeps its state.

    Attributes:
        directory: made on first writing; holds nothing else.
        fingerprint: digest of model, settings, seed and data; a state with another one is not resumed.
    """

    directory: Path
    fingerprint: str

    def write(self, state: RunState) -> None:
        """Writes aside and renames, so that a kill leaves the previous state or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        groups = {"weights": state.weights, "best": state.best, "optimizer": state.optimizer}
        tensors = {f"{group}/{name}": t for group, part in groups.items() for name, t in part.items()}
        tensors["generator"] = state.generator
        # tensors that share storage cannot be stored twice, hence the copies
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        header = {"fingerprint": self.fingerprint, "facts": json.dumps(state.facts, allow_nan=False)}
        aside = self.directory / f"{_FILE}.{os.getpid()}"
        save_file(copies, aside, metadata=header)
        aside.replace(self.directory / _FILE)

    def read(self, device: torch.device) -> RunState | None:
        """The state to go on from; None where there is none of this fingerprint."""
        path = self.directory / _FILE
        if not path.exists():
            return None
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata()
            if header["fingerprint"] != self.fingerprint:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        return RunState(
            weights=_group(tensors, "weights"),
            best=_group(tensors, "best"),
            optimizer=_group(tensors, "optimizer"),
            generator=tensors["generator"].cpu(),
            facts=json.loads(header["facts"]),
        )

    def discard(self) -> None:
        """Removes the state, once the finished model has been stored."""
        (self.directory / _FILE).unlink(missing_ok=True)


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's per-parameter tensors under flat names."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, values in state.items() for name, tensor in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts `optimizer_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for flat, tensor in tensors.items():
        number, _, name = flat.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
