"""Settings of a training run that do not depend on the model. Imports no torch."""

import math
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class MirrorGradientOptions(BaseModel):
    """Mirror Gradient (Zhong et al., WWW 2024, https://arxiv.org/abs/2402.11262): steps back uphill now and then.

    Every `every`-th step is a step down `descent` times the loss, followed by one up `ascent` times the loss of the
    same batch; together they lean towards flat minima, which noisy features disturb less.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    every: int = Field(default=3, ge=1)
    """beta: steps from one mirrored step to the next; the first of an epoch is one."""
    descent: float = Field(default=1.0, gt=0)
    """alpha_1: factor of the loss on the way down."""
    ascent: float = Field(default=0.2, gt=0)
    """alpha_2: factor of the loss on the way back up; the paper tries 0.1, 0.2 and 0.3."""


class ModalityDropoutOptions(BaseModel):
    """Modality dropout: in each step some items show the mean of a modality in place of their own content.

    A model that learns so relies less on any one modality, which pays where items will lack some. It is for models
    that see extracted features; the others are trained as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    probability: float = Field(default=0.2, gt=0, lt=1)
    """With which an item lacks a modality in a batch, drawn for each item and modality."""
    views: int = Field(default=4, ge=1, le=64)
    """Draws, which steps take in turn. Each holds once more what the model derives from features: more of them are
    more variety and more memory."""


class TrainingOptions(BaseModel):
    """How long and in what steps a model is trained; the step size belongs to the model's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    NEUTRAL: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "device", "threads"})
    """Fields that say where and how a run is done, not what comes out; see `mrs_pipeline.deciding`."""

    epochs: int = Field(default=1000, ge=1)
    """Most passes over the training interactions."""
    batch_size: int = Field(default=2048, ge=1)
    """Training rows a step."""
    max_steps: int | None = Field(default=None, ge=1)
    """Most steps of an epoch. Where the rows make more, batches grow until they do not, and step sizes with the square
    root of that growth, as Adam wants it. Each step of a graph model is a propagation over the whole graph."""
    patience: int = Field(default=20, ge=1)
    """Stop after this many validations in a row without a gain; the best epoch's weights are kept."""
    mirror_gradient: MirrorGradientOptions | None = None
    """Mirror Gradient around the model's own loss; plain steps where not given."""
    modality_dropout: ModalityDropoutOptions | None = None
    """Items lack modalities now and then while a model is trained; none do where not given."""
    warm_start: bool = False
    """Begin from the weights of the window before, where it has been trained by the same code with the same settings on
    the same features; rows of users and items are found by their ids. For datasets with windows."""
    warm_share: float = Field(default=0.4, gt=0, le=1)
    """Of an earlier row of a user or item in the row that a warm start begins from; the rest is the model's own first
    value. Networks that go on from all of what they learned on fewer rows end worse than from scratch (Ash and Adams,
    NeurIPS 2020, "On Warm-Starting Neural Network Training": shrink and perturb)."""
    eval_every: int = Field(default=1, ge=1)
    """Epochs from one validation to the next."""
    checkpoint_every: int = Field(default=10, ge=0)
    """Epochs from one checkpoint to the next; 0 for none. An interrupted run resumes from the last one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the dense products of a step: bfloat16 is faster on GPUs that have it and rounds to three digits; weights,
    sums, losses and sparse products stay float32. Scoring is not touched."""
    compile: bool = False
    """Compile the step first (`torch.compile`): fewer, larger kernels. Takes a minute at the start and pays where
    epochs are many; rounding differs in the last digits. Needs a C++ compiler on a CPU."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` takes a CUDA device where there is one, else the CPU."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of tensor operations; left as the process has it where not given."""

    def batch_for(self, n_rows: int) -> int:
        """Rows a step for so many rows an epoch, within `max_steps`.

        >>> TrainingOptions(batch_size=100, max_steps=5).batch_for(2000)
        400
        """
        return max(self.batch_size, -(-n_rows // self.max_steps)) if self.max_steps else self.batch_size

    def step_factor(self, n_rows: int) -> float:
        """By which step sizes grow with the batch: the square root rule (Malladi et al., NeurIPS 2022, section 4).

        >>> TrainingOptions(batch_size=100, max_steps=5).step_factor(2000)
        2.0
        """
        return math.sqrt(self.batch_for(n_rows) / self.batch_size)
