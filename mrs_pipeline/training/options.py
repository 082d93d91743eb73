"""Settings of a training run that do not depend on the model. Imports no torch."""

from pydantic import BaseModel, ConfigDict, Field


class TrainingOptions(BaseModel):
    """How long and in what steps a model is trained; the step size belongs to the model's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    epochs: int = Field(default=1000, ge=1)
    """Most passes over the training interactions."""
    batch_size: int = Field(default=2048, ge=1)
    """Training rows a step."""
    patience: int = Field(default=20, ge=1)
    """Stop after this many validations in a row without a gain; the best epoch's weights are kept."""
    eval_every: int = Field(default=1, ge=1)
    """Epochs from one validation to the next."""
    checkpoint_every: int = Field(default=10, ge=0)
    """Epochs from one checkpoint to the next; 0 for none. An interrupted run resumes from the last one."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` takes a CUDA device where there is one, else the CPU."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of tensor operations; left as the process has it where not given."""
