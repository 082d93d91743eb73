"""How a model's loss is computed in a step: in which precision, compiled or not."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.training.batches import BatchT
from mrs_pipeline.training.options import TrainingOptions

Loss = Callable[[BatchT], dict[str, Tensor]]


def step_loss(model: Recommender[ModelConfig, BatchT], options: TrainingOptions) -> Loss[BatchT]:
    """The model's loss as `options` want it; its terms are float32 in any case."""
    loss: Loss[BatchT] = torch.compile(model.loss, dynamic=True) if options.compile else model.loss
    if options.precision == "float32":
        return loss

    def rounded(batch: BatchT) -> dict[str, Tensor]:
        with torch.autocast(model.device.type, dtype=torch.bfloat16):
            terms = loss(batch)
        return {name: term.float() for name, term in terms.items()}

    return rounded
