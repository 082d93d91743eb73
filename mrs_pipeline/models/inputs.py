"""`TrainingData` as tensors on one device: all that a model may see while it is built.

What training rows a step then gets is in `base` and `training.batches`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.knowledge import KnowledgeTensors
from mrs_pipeline.types import (
    FeatureMatrix,
    RawContent,
    SparseGraph,
    TokenMatrix,
    TrainingData,
    vectors_of_users,
)

_RAW_SHARE = 4
"""A GPU's memory over what raw content, or tokens, of one modality may take of it; more stays with the host."""


@dataclass(frozen=True)
class RawTensors:
    """Raw content of one modality; on a GPU for which it is too large it stays with the host.

    Attributes:
        values: [I, 3, H, W] uint8 or [I, T] int32; rows that are not present may hold anything.
        present: [I] bool, on the device.
        content: what it came from: vocabulary, colour scale, network.
    """

    values: Tensor
    present: Tensor
    content: RawContent

    def parts(self, items: Tensor, size: int) -> list[Callable[[], Tensor]]:
        """The rows of `items` [n] in parts of `size`, each on the device when it is called, as often as it is.

        Of what stays with the host, the host reads a part while the device works on the one before, and sends it from
        pinned memory; it waits once, for the numbers of the items.
        """
        if self.values.device == items.device:
            return [partial(take_rows, self.values, part) for part in torch.split(items, size)]
        return [partial(_fetched, self.values, part, items.device) for part in torch.split(items.cpu(), size)]


@dataclass(frozen=True)
class TokenTensors:
    """Regions or words of one modality, read by rows; on a GPU for which they are too large they stay with the host.

    Attributes:
        values: [I, T, D] as stored, on a CPU a memory map; rows that are not present may hold anything.
        present: [I] bool, on the device.
        grid: rows and columns that the tokens of a picture stand in; None where they are a sequence.
    """

    values: Tensor
    present: Tensor
    grid: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """T."""
        return self.values.shape[1]

    @property
    def width(self) -> int:
        """D."""
        return self.values.shape[2]

    def rows(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [n, T, D] of `items` [n] int64, zero where there is none, and [n, T] bool where there is one.

        Ascending items are read in one sweep over the file.
        """
        if self.values.device == items.device:
            found = self.values.index_select(0, items)
        else:
            found = _fetched(self.values, items.cpu(), items.device)
        there = take_rows(self.present, items)[:, None, None]
        found = torch.where(there, found.to(torch.get_default_dtype()), 0.0)
        return found, (found != 0).any(2)


@dataclass(frozen=True)
class ModelInputs:
    """`TrainingData` as tensors on one device; all that a model may see while it is built.

    Attributes:
        n_users: U.
        n_items: I.
        users: [E] int64 users of the training pairs, each pair once, in the order of users and items: what a model
            of pairs learns does not depend on whether the source has times.
        items: [E] int64 items of the training pairs.
        times: [E] int64 when each pair occurred first; None where the source has no time.
        features: modality -> [I, F] float32, zero where missing; modalities in alphabetical order.
        present: modality -> [I] bool.
        item_graphs: modality -> kNN graph [I, I], cosine weights.
        user_graph: [U, U] users who share items, weights how many; None where no model here needs it.
        pretrained: `<pretrainer>` or `<pretrainer>/<part>` -> [I, D] float32, or [U, D] of users, zero where there is
            none.
        pretrained_present: the same keys -> [I] or [U] bool.
        knowledge: triples about the items, or None.
        device: where all of it is.
        raw: modality -> decoded content, in alphabetical order; on a CPU a memory map stays one.
        tokens: modality -> regions or words, in alphabetical order; on a CPU a memory map stays one.
        virtual: [U, I] further edges of the graph that vectors are propagated over, no training pair among them; set
            by a wrapper (`layers.virtual_edges`), None otherwise.
    """

    n_users: int
    n_items: int
    users: Tensor
    items: Tensor
    times: Tensor | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)
    present: Mapping[str, Tensor] = field(default_factory=dict)
    item_graphs: Mapping[str, Csr] = field(default_factory=dict)
    user_graph: Csr | None = None
    pretrained: Mapping[str, Tensor] = field(default_factory=dict)
    pretrained_present: Mapping[str, Tensor] = field(default_factory=dict)
    knowledge: KnowledgeTensors | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    raw: Mapping[str, RawTensors] = field(default_factory=dict)
    tokens: Mapping[str, TokenTensors] = field(default_factory=dict)
    virtual: Csr | None = None

    @classmethod
    def from_data(cls, data: TrainingData, device: torch.device | str = "cpu") -> "ModelInputs":
        """Copies training pairs, each once, features and graphs to `device`; validation rows stay behind."""
        device = torch.device(device)
        train = data.train
        first = np.unique(train.users * train.n_items + train.items, return_index=True)[1]
        matrices = _checked(data.features, train.n_items)
        vectors = _checked(data.pretrained, train.n_items, train.n_users)
        return cls(
            n_users=train.n_users,
            n_items=train.n_items,
            users=torch.from_numpy(train.users[first]).to(device),
            items=torch.from_numpy(train.items[first]).to(device),
            times=None if train.times is None else torch.from_numpy(train.times[first]).to(device),
            features={name: _values(matrix, device) for name, matrix in matrices.items()},
            present={name: _mask(matrix, device) for name, matrix in matrices.items()},
            item_graphs={name: _graph(data.item_graphs[name], device) for name in sorted(data.item_graphs)},
            user_graph=None if data.user_graph is None else _graph(data.user_graph, device),
            pretrained={name: _values(matrix, device) for name, matrix in vectors.items()},
            pretrained_present={name: _mask(matrix, device) for name, matrix in vectors.items()},
            knowledge=None
            if data.knowledge is None
            else KnowledgeTensors.from_graph(data.knowledge, data.train.n_items, device),
            device=device,
            raw={name: _raw(data.raw[name], train.n_items, device) for name in sorted(data.raw)},
            tokens={name: _tokens(data.tokens[name], train.n_items, device) for name in sorted(data.tokens)},
        )

    def only(self, modality: str) -> "ModelInputs":
        """The inputs with the features of one modality alone."""
        return replace(
            self,
            features={modality: self.features[modality]},
            present={modality: self.present[modality]},
        )

    def pretrained_by(self, pretrainer: str) -> list[str]:
        """Keys of `pretrained` that the pretrainer of that name has made."""
        return [key for key in self.pretrained if key.partition("/")[0] == pretrainer]

    def users_seen(self) -> Tensor:
        """[U] bool: users with a training row."""
        return torch.bincount(self.users, minlength=self.n_users) > 0

    def items_seen(self) -> Tensor:
        """[I] bool: items with a training row; the others are cold."""
        return torch.bincount(self.items, minlength=self.n_items) > 0


def _checked(
    matrices: Mapping[str, FeatureMatrix], n_items: int, n_users: int = 0
) -> dict[str, FeatureMatrix]:
    """The matrices in alphabetical order."""
    for key, matrix in matrices.items():
        wanted, whose = (n_users, "users") if vectors_of_users(key) else (n_items, "items")
        if len(matrix.values) != wanted or len(matrix.present) != wanted:
            raise InputError(
                f"feature matrix '{matrix.name}' has {len(matrix.values)} rows but the dataset {wanted} {whose}; "
                "extract the features again for this catalogue"
            )
    return {name: matrices[name] for name in sorted(matrices)}


def _mask(matrix: FeatureMatrix, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(matrix.present)).to(device)


def _values(matrix: FeatureMatrix, device: torch.device) -> Tensor:
    values = np.array(matrix.values, dtype=np.float32)  # a copy: memory maps may be read-only
    values[~matrix.present] = 0.0
    if not np.isfinite(values).all():
        raise InputError(
            f"feature matrix '{matrix.name}' holds a NaN or infinite value in the row of item "
            f"{int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])}; extract the features again"
        )
    total = memory_of(device)
    if values.nbytes > total:
        raise InputError(
            f"feature matrix '{matrix.name}' takes {values.nbytes / 1e9:.1f} GB, the GPU has {total / 1e9:.1f} GB: "
            "set `training: {device: cpu}`, or extract with an encoder of fewer dimensions"
        )
    return _sent(torch.from_numpy(values), device)


def memory_of(device: torch.device) -> float:
    """Bytes of a GPU's whole memory; without bound on a CPU, where what is too large stays a memory map."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else math.inf


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """On the device; to a GPU from pinned memory, so that the host reads on meanwhile."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _fetched(values: Tensor, items: Tensor, device: torch.device) -> Tensor:
    """The rows of `items`, which like `values` are the host's, on the device."""
    return _sent(values.index_select(0, items), device)


def _raw(content: RawContent, n_items: int, device: torch.device) -> RawTensors:
    if len(content.values) != n_items or len(content.present) != n_items:
        raise InputError(
            f"raw content '{content.name}' has {len(content.values)} rows but the dataset {n_items} items; "
            "decode it again for this catalogue"
        )
    present = torch.from_numpy(np.array(content.present)).to(device)
    return RawTensors(_placed(content.values, device), present, content)


def _placed(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    """On the device, or with the host where a GPU is too small."""
    tensor = torch.from_numpy(values if values.flags.writeable else np.array(values))
    return _sent(tensor, device) if values.nbytes <= memory_of(device) / _RAW_SHARE else tensor


def _tokens(matrix: TokenMatrix, n_items: int, device: torch.device) -> TokenTensors:
    if len(matrix.values) != n_items or len(matrix.present) != n_items:
        raise InputError(
            f"token set '{matrix.name}' has {len(matrix.values)} rows but the dataset {n_items} items; "
            "extract the features again for this catalogue"
        )
    present = torch.from_numpy(np.array(matrix.present)).to(device)
    return TokenTensors(_placed(matrix.values, device), present, matrix.grid)


def _graph(graph: SparseGraph, device: torch.device) -> Csr:
    parts = (graph.indptr, graph.indices, graph.weights)
    indptr, indices, weights = (torch.from_numpy(np.array(part)).to(device) for part in parts)
    return Csr(indptr, indices, weights, graph.shape)
