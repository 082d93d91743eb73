"""Terms of a loss that undo each other's steps, measured after a training on a few batches.

Regularisation is left out: near an optimum it opposes the others by nature. So does, to a degree, any term, since their
gradients add up to nothing there; only what is nearly opposite is called a conflict.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import numpy as np

from mrs_pipeline.fitting import prepare
from mrs_pipeline.functional.signatures import cosines_of_gradients
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import TrainingData

LOSS_BATCHES: Final = 3
"""Batches that gradients are computed on; their mean cosine counts."""
LEAST_COSINE: Final = -0.9
"""Two terms whose gradients have a smaller cosine undo each other."""
REGULARISATION: Final = "reg"
"""Name of the term that every model calls its regularisation."""


def conflicting_losses(
    model: Recommender[ModelConfig, Any], data: TrainingData, options: TrainingOptions
) -> tuple[bool, str, Mapping[str, object]]:
    """Whether no two terms conflict, what was found in words, and the mean cosine of each pair.

    Args:
        model: trained; its dropout and sampling go on from its generator.
        data: what it was trained on.
        options: how large a batch is.
    """
    inputs = ModelInputs.from_data(
        prepare(data, model.spec.name, model.config, device=model.device), model.device
    )
    source = batch_source(model, inputs, options.batch_for(len(inputs.users)))
    parameters = [each for each in model.parameters() if each.requires_grad]
    found: dict[tuple[str, str], list[float]] = {}
    model.train()
    model.start_epoch()
    for batch in islice(source.epoch(model.generator), LOSS_BATCHES):
        terms = {name: term for name, term in model.loss(batch).items() if name != REGULARISATION}
        if len(terms) < 2:
            model.eval()
            return True, "not applicable: its loss has one term beside regularisation", {}
        for pair, cosine in cosines_of_gradients(terms, parameters).items():
            found.setdefault(pair, []).append(cosine)
    model.eval()
    means = {" against ".join(pair): float(np.mean(values)) for pair, values in found.items()}
    if not means:
        return True, "not applicable: the terms of its loss share no parameter", {}
    opposed = [name for name, cosine in means.items() if cosine < LEAST_COSINE]
    least = min(means, key=means.__getitem__)
    said = f"{'; '.join(opposed)} undo each other: " if opposed else ""
    return (
        not opposed,
        f"{said}smallest cosine of gradients {means[least]:+.2f} ({least}), bound {LEAST_COSINE:+.1f}",
        {**means, "bound": LEAST_COSINE},
    )
