"""The one training loop: sums a model's loss terms, steps, validates, stops; may be killed at any moment.

Losses belong to models, batches to `batches`, ranking quality to whoever passes `validate`. Without `validate` it runs
for as many epochs as it is told, and the last one's weights are kept.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Generic

import torch
from torch import Tensor
from tqdm import tqdm

from mrs_pipeline.errors import NonFiniteLossError
from mrs_pipeline.models.base import AnyRecommender, Recommender
from mrs_pipeline.models.config import GradientConfig, ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import BatchSource, BatchT, batch_source
from mrs_pipeline.training.checkpoint import CheckpointFile, RunState, optimizer_tensors, restore_optimizer
from mrs_pipeline.training.early_stopping import EarlyStopping
from mrs_pipeline.training.held_memory import MemoryMeter
from mrs_pipeline.training.modality_dropout import views_of
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.step import Loss, step_loss
from mrs_pipeline.training.used_energy import EnergyMeter
from mrs_pipeline.training.workload import PROBED, Workload
from mrs_pipeline.training.world import World

LOG = logging.getLogger("mrs_pipeline")

Validate = Callable[[AnyRecommender], float]
"""Score of a model on held-out interactions, larger is better."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch as it went.

    Attributes:
        epoch: 1-based.
        seconds: of training alone.
        validation_seconds: 0.0 where the epoch was not validated.
        losses: term -> mean over the epoch's steps; empty for a closed form.
        score: validation score, None where the epoch was not validated.
    """

    epoch: int
    seconds: float
    validation_seconds: float
    losses: Mapping[str, float]
    score: float | None


@dataclass(frozen=True)
class FitResult:
    """How a training run went.

    Attributes:
        history: one record an epoch, those before an interruption included.
        best_epoch: the epoch whose weights the model has now.
        best_score: its validation score; NaN where nothing was held out.
        seconds: wall time of all epochs and validations.
        peak_memory_mb: the most memory held above what was held before the model was built (`held_memory`).
        energy_joules: energy of processors and GPU meanwhile (`used_energy`); None where it cannot be read.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    best_score: float
    seconds: float
    peak_memory_mb: float
    energy_joules: float | None


def train(
    model: Recommender[ModelConfig, BatchT],
    inputs: ModelInputs,
    options: TrainingOptions,
    validate: Validate | None,
    checkpoint: CheckpointFile | None = None,
    *,
    memory: MemoryMeter | None = None,
) -> FitResult:
    """Trains `model` in place and leaves it with the weights of its best epoch.

    Args:
        model: as it was built.
        inputs: what it was built from.
        options: epochs, batches, patience.
        validate: chooses the epoch; if None the model is trained for `options.epochs` and has the last one's weights.
        checkpoint: where the run's state is kept.
        memory: measures since before the model was built; from now on if None.

    Raises:
        NonFiniteLossError: a loss term was NaN or infinite; names model, epoch, step and term.
    """
    memory = memory or MemoryMeter(model.device)
    energy = EnergyMeter(model.device)
    if model.spec.batches is BatchKind.NONE:
        return _solve(model, validate, memory, energy)
    rows = len(inputs.users)
    source = batch_source(model, inputs, options.batch_for(rows))
    views = views_of(model, inputs, options.modality_dropout)
    return _Run(model, views, source, options, validate, checkpoint, memory, energy, rows).go()


def _solve(
    model: AnyRecommender, validate: Validate | None, memory: MemoryMeter, energy: EnergyMeter
) -> FitResult:
    started = time.perf_counter()
    model.fit_closed_form()
    solved = time.perf_counter()
    model.eval()
    score = math.nan if validate is None else validate(model)
    ended = time.perf_counter()
    record = EpochRecord(1, solved - started, ended - solved, {}, score)
    return FitResult((record,), 1, score, ended - started, memory.megabytes(), energy.joules())


@dataclass
class _Run(Generic[BatchT]):
    """State of a run in flight."""

    model: Recommender[ModelConfig, BatchT]
    views: Sequence[Recommender[ModelConfig, BatchT]]
    source: BatchSource[BatchT]
    options: TrainingOptions
    validate: Validate | None
    checkpoint: CheckpointFile | None
    memory: MemoryMeter
    energy: EnergyMeter
    rows: int
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    energy_before: float | None = 0.0
    energy_joules: float | None = 0.0
    probed_from: float = 0.0

    def __post_init__(self) -> None:
        config = self.model.config
        if not isinstance(config, GradientConfig):
            raise TypeError(
                f"settings of '{self.model.spec.name}' have no learning rate; derive them from GradientConfig"
            )
        self.stopping = EarlyStopping(self.options.patience)
        name, steps = self.model.spec.name, self.source.n_batches
        self.workload = Workload.of(self.model, name, self.rows, steps, self.options.epochs)
        self.world = World.current()
        self.world.require(name, self.model.spec.batches)
        if len(self.views) > 1:
            self.world.require_alone("modality_dropout")
        self._losses = [
            self.world.step_loss(view, step_loss(view, self.options))  # type: ignore[arg-type]
            for view in self.views
        ]
        own, grown = config.learning_rate, self.options.step_factor(self.rows)
        groups = [{**group, "lr": group.get("lr", own) * grown} for group in self.model.parameter_groups()]
        self.optimizer = torch.optim.Adam(groups, lr=own * grown, fused=True)

    def go(self) -> FitResult:
        self._resume()
        for level, said in (
            (logging.WARNING, self.workload.warning()),
            (logging.INFO, self.workload.estimate()),
        ):
            if said:
                LOG.log(level, said)
        first = len(self.history) + 1
        with tqdm(
            range(first, self.options.epochs + 1),
            desc=self.model.spec.name,
            unit="epoch",
            leave=False,
            disable=None,
        ) as bar:
            for epoch in bar:
                if self.stopping.finished:
                    break
                record = self._epoch(epoch)
                bar.set_postfix(loss=sum(record.losses.values()), best=self.stopping.best_score)
        if self.validate is not None:
            self.model.load_state_dict(self.best)
        self.model.eval()
        return FitResult(
            history=tuple(self.history),
            best_epoch=len(self.history) if self.validate is None else self.stopping.best_epoch,
            best_score=math.nan if self.validate is None else self.stopping.best_score,
            seconds=sum(record.seconds + record.validation_seconds for record in self.history),
            peak_memory_mb=self.peak_memory_mb,
            energy_joules=self.energy_joules,
        )

    def _epoch(self, epoch: int) -> EpochRecord:
        started = time.perf_counter()
        losses = self._steps(epoch)
        trained = time.perf_counter()
        score = self._validated(epoch)
        seconds = 0.0 if score is None else time.perf_counter() - trained
        record = EpochRecord(epoch, trained - started, seconds, losses, score)
        self.history.append(record)
        self.peak_memory_mb = max(self.peak_memory_mb, self.memory.megabytes())
        used = self.energy.joules()
        self.energy_joules = None if used is None or self.energy_before is None else self.energy_before + used
        self._keep(epoch)
        return record

    def _steps(self, epoch: int) -> dict[str, float]:
        """One pass over the data; the mean of each loss term."""
        model, generator = self.model, self.model.generator
        model.train()
        self.world.start_epoch(generator)
        for view in self.views:
            view.train()
            view.start_epoch()
        names: list[str] = []
        values: list[Tensor] = []
        mirror = self.options.mirror_gradient
        for step, batch in enumerate(self.source.epoch(generator)):
            loss = self._losses[step % len(self._losses)]
            if mirror is not None and step % mirror.every == 0:
                terms = self._step(loss, batch, mirror.descent)
                self._step(loss, batch, -mirror.ascent)
            else:
                terms = self._step(loss, batch)
            names = list(terms)
            values.append(torch.stack(list(terms.values())))
            if epoch == 1:
                self._say_how_long(step)
        steps = torch.stack(values).cpu()  # read once an epoch: a GPU is not made to wait at every step
        self._require_finite(epoch, names, steps)
        return dict(zip(names, steps.double().mean(0).tolist(), strict=True))

    def _say_how_long(self, step: int) -> None:
        """An estimate of the run's time after its first steps; a GPU is waited for twice in a run."""
        if step not in (0, PROBED) or self.workload.estimate() is None:
            return
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        now = time.perf_counter()
        if step:
            LOG.info(self.workload.estimate((now - self.probed_from) / PROBED))
        self.probed_from = now

    def _step(self, loss: Loss[BatchT], batch: BatchT, factor: float = 1.0) -> dict[str, Tensor]:
        """One optimiser step down `factor` times the loss (up, if negative); the terms as they were before it."""
        terms = loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.stack(list(terms.values())).sum()
        (total if factor == 1 else factor * total).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {name: term.detach() for name, term in terms.items()}

    def _require_finite(self, epoch: int, names: list[str], steps: Tensor) -> None:
        bad = torch.nonzero(~torch.isfinite(steps))
        if len(bad):
            step, term = bad[0].tolist()
            raise NonFiniteLossError(
                f"model '{self.model.spec.name}': loss term '{names[term]}' is {steps[step, term].item()} "
                f"at epoch {epoch}, step {step + 1}; lower learning_rate, or look for extreme feature values"
            )

    def _validated(self, epoch: int) -> float | None:
        """The epoch's score; None where it is not validated."""
        last = epoch == self.options.epochs
        if self.validate is None or not (last or epoch % self.options.eval_every == 0):
            return None
        self.model.eval()
        validate = partial(self.validate, self.model)
        score = self.world.score(validate)
        if not math.isfinite(score):
            raise NonFiniteLossError(
                f"model '{self.model.spec.name}': validation score is {score} at epoch {epoch}"
            )
        if self.stopping.update(epoch, score):
            self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        return score

    def _keep(self, epoch: int) -> None:
        every = self.options.checkpoint_every
        if self.checkpoint is None or self.world.rank or not every or epoch % every:
            return
        if self.validate is not None and not self.best:
            return
        facts: dict[str, Any] = {
            "history": [asdict(record) for record in self.history],
            "stopping": self.stopping.state() if self.best else None,
            "peak_memory_mb": self.peak_memory_mb,
            "energy_joules": self.energy_joules,
        }
        optimizer = optimizer_tensors(self.optimizer)
        state = self.model.state_dict()
        self.checkpoint.write(RunState(state, self.best, optimizer, self.model.generator.get_state(), facts))

    def _resume(self) -> None:
        state = self.checkpoint.read(self.model.device) if self.checkpoint else None
        if state is None:
            return
        self.model.load_state_dict(dict(state.weights))
        restore_optimizer(self.optimizer, state.optimizer)
        self.model.generator.set_state(state.generator)
        self.best = dict(state.best)
        if state.facts["stopping"] is not None:
            self.stopping = EarlyStopping(**{**state.facts["stopping"], "patience": self.options.patience})
        self.history = [EpochRecord(**record) for record in state.facts["history"]]
        self.peak_memory_mb = state.facts["peak_memory_mb"]
        self.energy_before = self.energy_joules = state.facts["energy_joules"]
