"""The first of two steps: trains a pretrainer on items until its held-out loss stops falling.

What is learnt is said by the pretrainer (`models.pretraining`); the second step is `loop`, as for any model.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from mrs_pipeline.errors import InputError, NonFiniteLossError
from mrs_pipeline.functional.graphs import with_item_graphs
from mrs_pipeline.models.config import validated
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.base import AnyPretrainer, PretrainingConfig
from mrs_pipeline.models.pretraining.registry import pretrainer_class
from mrs_pipeline.training.early_stopping import EarlyStopping
from mrs_pipeline.types import FeatureMatrix, TrainingData

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PretrainingEpoch:
    """One epoch as it went.

    Attributes:
        epoch: 1-based.
        seconds: of training and of the held-out loss.
        losses: term -> mean over the epoch's steps.
        held_out: summed loss of the held-out items; None where none are held out.
    """

    epoch: int
    seconds: float
    losses: Mapping[str, float]
    held_out: float | None


@dataclass(frozen=True)
class Pretrained:
    """What a pretraining gave and how it went.

    Attributes:
        matrices: `<pretrainer>` or `<pretrainer>/<part>` -> item vectors.
        config: the settings it was made with.
        history: one record an epoch.
        best_epoch: the epoch that the vectors are of.
        seconds: wall time.
    """

    matrices: Mapping[str, FeatureMatrix]
    config: PretrainingConfig
    history: tuple[PretrainingEpoch, ...]
    best_epoch: int
    seconds: float


def configure_pretraining(name: str, overrides: Mapping[str, Any]) -> PretrainingConfig:
    """The pretrainer's settings with `overrides` in place of defaults; InputError names what does not fit."""
    return validated(pretrainer_class(name).Config, overrides, f"pretraining '{name}'")


def pretrain(
    data: TrainingData,
    name: str,
    config: PretrainingConfig | Mapping[str, Any] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Pretrained:
    """Makes item vectors of `data`; validation rows stay unseen.

    Args:
        data: interactions and features; item graphs that are missing are built.
        name: of the registry of pretrainers.
        config: its settings, or overrides of its defaults. Same data and settings give the same vectors.
        device: where it runs.

    Raises:
        InputError: the data lack what the pretrainer needs.
        NonFiniteLossError: it diverged.
    """
    settings = config if isinstance(config, PretrainingConfig) else configure_pretraining(name, config or {})
    kind = pretrainer_class(name)
    if settings.item_neighbours:
        data = with_item_graphs(data, settings.item_neighbours.count, device)
    generator = torch.Generator(device)
    generator.manual_seed(settings.seed)
    return _Run(kind(settings, ModelInputs.from_data(data, device), generator), settings).go()


def with_pretrained(
    data: TrainingData,
    name: str,
    config: PretrainingConfig | Mapping[str, Any] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> TrainingData:
    """`data` with the vectors of the pretrainer `name`, made now if there are none yet."""
    if data.pretrained_by(name):
        return data
    made = pretrain(data, name, config, device=device).matrices
    return replace(data, pretrained={**data.pretrained, **made})


@dataclass
class _Run:
    """State of a pretraining in flight."""

    model: AnyPretrainer
    config: PretrainingConfig
    history: list[PretrainingEpoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stopping = EarlyStopping(self.config.patience)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        items, device = self.model.items(), self.model.generator.device
        if not len(items):
            raise InputError(
                f"pretraining '{self.model.spec.name}' has no item to learn from: no item has a feature vector"
            )
        items = items[torch.randperm(len(items), generator=self.model.generator, device=device)]
        n_held = int(len(items) * self.config.held_out)
        self.held, self.items = items[:n_held], items[n_held:]

    def go(self) -> Pretrained:
        started = time.perf_counter()
        name = f"{self.model.spec.name} pretraining"
        with tqdm(
            range(1, self.config.epochs + 1), desc=name, unit="epoch", leave=False, disable=None
        ) as bar:
            for epoch in bar:
                record = self._epoch(epoch)
                bar.set_postfix(loss=sum(record.losses.values()), held_out=record.held_out)
                if self.stopping.finished:
                    break
        if self.best:
            self.model.load_state_dict(self.best)
        return Pretrained(
            matrices=self._repeatable(self.model.matrices),
            config=self.config,
            history=tuple(self.history),
            best_epoch=self.stopping.best_epoch or len(self.history),
            seconds=time.perf_counter() - started,
        )

    def _epoch(self, epoch: int) -> PretrainingEpoch:
        started = time.perf_counter()
        losses = self._steps(epoch)
        held_out = self._repeatable(self._held_out_loss) if len(self.held) else None
        if held_out is not None and self.stopping.update(epoch, -held_out):
            self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        record = PretrainingEpoch(epoch, time.perf_counter() - started, losses, held_out)
        self.history.append(record)
        return record

    def _steps(self, epoch: int) -> dict[str, float]:
        generator = self.model.generator
        self.model.train()
        self.model.start_epoch()
        order = torch.randperm(len(self.items), generator=generator, device=generator.device)
        names: list[str] = []
        values: list[Tensor] = []
        for rows in torch.split(order, self.config.batch_size):
            terms = self.model.loss(self.items[rows])
            stacked = torch.stack(list(terms.values()))
            self.optimizer.zero_grad(set_to_none=True)
            stacked.sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            names = list(terms)
            values.append(stacked.detach())
        means = torch.stack(values).double().mean(0).cpu()  # a step that is not finite makes the mean so
        for term, mean in zip(names, means.tolist(), strict=True):
            if not torch.tensor(mean).isfinite():
                raise NonFiniteLossError(
                    f"pretraining '{self.model.spec.name}': loss term '{term}' is {mean} in epoch {epoch}; "
                    "lower learning_rate, or look for extreme feature values"
                )
        return dict(zip(names, means.tolist(), strict=True))

    def _held_out_loss(self) -> float:
        self.model.start_epoch()
        totals = [
            sum(term.item() for term in self.model.loss(rows).values()) * len(rows)
            for rows in torch.split(self.held, self.config.batch_size)
        ]
        return sum(totals) / len(self.held)

    def _repeatable(self, call: Callable[[], _Result]) -> _Result:
        """The result of `call` without gradients and dropout, on the same draws each time."""
        generator = self.model.generator
        state = generator.get_state()
        generator.manual_seed(self.config.seed)
        self.model.eval()
        with torch.no_grad():
            result = call()
        generator.set_state(state)
        return result
