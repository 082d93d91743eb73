"""The state of an unfinished run as one safetensors file with JSON in its header, replaced atomically.

Finished models are saved by `fitting.save`; this file is only for going on after an interruption, and a
run that goes on ends bit-equal to one that was never interrupted. No pickle.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

LOG = logging.getLogger("mrs_pipeline")
CHECKPOINT = "checkpoint.safetensors"
"""Name of the file."""


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
        """Writes a temporary file and renames it, so that a kill leaves the previous state or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        groups = {"weights": state.weights, "best": state.best, "optimizer": state.optimizer}
        tensors = {f"{group}/{name}": t for group, part in groups.items() for name, t in part.items()}
        tensors["generator"] = state.generator
        # tensors that share storage cannot be stored twice, hence the copies
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        facts = json.dumps(state.facts, allow_nan=False)
        header = {"fingerprint": self.fingerprint, "facts": facts, "digest": _digest(copies, facts)}
        temporary = self.directory / f"{CHECKPOINT}.{os.getpid()}"
        save_file(copies, temporary, metadata=header)
        temporary.replace(self.directory / CHECKPOINT)

    def read(self, device: torch.device) -> RunState | None:
        """The state to go on from; None where there is none of this fingerprint."""
        path = self.directory / CHECKPOINT
        if not path.exists():
            return None
        found = _read(path, device)
        if isinstance(found, str):
            LOG.warning("%s %s: training starts afresh", path, found)
            return None
        header, tensors = found
        if header["fingerprint"] != self.fingerprint:
            LOG.warning(
                "%s was written by other code, with other settings or from other data: training starts afresh",
                path,
            )
            return None
        return RunState(
            weights=_group(tensors, "weights"),
            best=_group(tensors, "best"),
            optimizer=_group(tensors, "optimizer"),
            generator=tensors["generator"].cpu(),
            facts=json.loads(header["facts"]),
        )


def checkpoint_fault(path: Path) -> str | None:
    """What is wrong with a checkpoint file, in words; None where it is as it was written."""
    found = _read(path, torch.device("cpu"))
    return found if isinstance(found, str) else None


def _read(path: Path, device: torch.device) -> tuple[dict[str, str], dict[str, Tensor]] | str:
    """Header and tensors of a checkpoint file, or what is wrong with it."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        return f"cannot be read ({error})"
    if header.get("digest") != _digest(tensors, header.get("facts", "")):
        return "is not what was written"
    return header, tensors


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    """Digest of tensors by name, type, shape and bytes, and of the facts beside them."""
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
