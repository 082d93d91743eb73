"""What `mrs bench` measures: training and evaluation on two benchmark packs, beside a measured peer.

Timing itself is `bench.training`; here is what is timed, with which settings, and what it is compared with.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tqdm import tqdm

from mrs_pipeline.bench.training import bench_train
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.task import Stage

PEER: Final = "MMRec e775373, same packs, two cores"
"""Who the peer's numbers were measured on, at the same settings and batch size; its embeddings are 64 wide too."""


@dataclass(frozen=True)
class PeerCost:
    """What a model costs the peer."""

    seconds_per_epoch: float
    seconds_per_evaluation: float
    peak_memory_mb: int


@dataclass(frozen=True)
class Candidate:
    """A model to time on a dataset, with the settings that the peer ran with, where there is one."""

    dataset: str
    model: str
    overrides: Mapping[str, Any]
    peer: PeerCost | None


CANDIDATES: Final = (
    Candidate("tiktok", "bpr_mf", {"reg_weight": 1e-2}, PeerCost(0.26, 0.39, 650)),
    Candidate("tiktok", "lightgcn", {"n_layers": 2, "reg_weight": 1e-4}, PeerCost(1.26, 0.41, 717)),
    Candidate("tiktok", "vbpr", {"reg_weight": 1e-3}, PeerCost(0.50, 0.42, 699)),
    Candidate(
        "tiktok", "bm3", {"n_layers": 2, "reg_weight": 0.01, "dropout": 0.5}, PeerCost(2.27, 0.42, 761)
    ),
    Candidate("tiktok", "freedom", {"dropout": 0.8, "reg_weight": 1e-3}, PeerCost(1.45, 0.42, 761)),
    Candidate("tiktok", "mgcn", {"cl_weight": 0.01}, PeerCost(4.66, 0.47, 935)),
    Candidate("tiktok", "mmgcn", {"reg_weight": 1e-3, "learning_rate": 1e-3}, PeerCost(12.6, 0.39, 1297)),
    Candidate("tiktok", "lattice", {"reg_weight": 1e-4, "learning_rate": 1e-3}, PeerCost(34.5, 11.3, 2685)),
    Candidate("baby", "bpr_mf", {"reg_weight": 1e-2}, PeerCost(0.65, 2.9, 774)),
    Candidate("baby", "lightgcn", {"n_layers": 2, "reg_weight": 1e-4}, PeerCost(4.75, 3.1, 919)),
)
"""What a peer was measured on, in the order of the table; the dataset's other models follow."""

DATASETS: Final = tuple(dict.fromkeys(candidate.dataset for candidate in CANDIDATES))

_MEASURES = ("seconds_per_epoch", "seconds_per_evaluation", "peak_memory_mb")


def bench_dataset(
    stage: Stage, models: Collection[str] | None = None, *, epochs: int
) -> Iterator[dict[str, Any]]:
    """Time the models of one dataset on the CPU, two threads, batches of 2048; a row as each is done.

    Args:
        stage: the dataset, whose features are materialised.
        models: only these; all of them if None.
        epochs: timed epochs.

    Yields:
        dataset, what `training_bench.bench_train` measures, cores, peer, and the peer's numbers with `peer_` in
        front, None where the peer was not measured.
    """
    chosen = [each for each in candidates(stage.config) if models is None or each.model in models]
    for candidate in tqdm(chosen, desc=stage.config.name, unit="model", disable=None):
        name = candidate.model
        # stored graphs and first steps are left out: making them is part of what preparing costs
        spec = replace(MODELS[name].spec, item_graph=False, user_graph=False, pretraining=None)
        data = training_data(stage, spec)
        (row,) = bench_train(
            data, {name: candidate.overrides}, epochs=epochs, batch_size=2048, threads=2, device="cpu"
        )
        peer = {f"peer_{measure}": getattr(candidate.peer, measure, None) for measure in _MEASURES}
        yield {"dataset": stage.config.name, **row, **peer, "peer": PEER, "cores": os.cpu_count()}


def check_models(configs: Sequence[DatasetConfig], models: Collection[str] | None) -> None:
    """Refuse names of models that no dataset of the bench times.

    Raises:
        InputError: with the names there are.
    """
    known = {each.model: None for config in configs for each in candidates(config)}
    for name in models or ():
        if name not in known:
            raise InputError(f"{name} is not timed; there are {', '.join(known)}")


def candidates(config: DatasetConfig) -> list[Candidate]:
    """What is timed on a dataset: the peer's models with the peer's settings, then its others that learn by steps."""
    measured = [each for each in CANDIDATES if each.dataset == config.name]
    known = {each.model for each in measured}
    others = [
        Candidate(config.name, name, config.settings_of(name), None)
        for name in config.model_configs
        if name not in known and MODELS[name].spec.batches is not BatchKind.NONE
    ]
    return [*measured, *others]
