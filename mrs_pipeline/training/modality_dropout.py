"""Modality dropout: in a step some items lack some of their modalities, whatever the model is.

A dropped row is the mean of the rows that have the modality, as `missing: mean` fills it, and in graphs of that
modality the item has no links. A view is the same model, its parameters and generator, built on such features; steps
take the views in turn, and batches are shuffled, so that an item lacks a modality in a batch with the probability that
is asked for. Validation, scoring and what is saved know the model alone.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline.training.batches import BatchT
from mrs_pipeline.training.options import ModalityDropoutOptions
from mrs_pipeline.types import FeatureMatrix

_STREAM: Final = 7919
"""Multiplies seeds, so that what is dropped is not drawn as weights and batches are."""


def views_of(
    model: Recommender[ModelConfig, BatchT], inputs: ModelInputs, options: ModalityDropoutOptions | None
) -> Sequence[Recommender[ModelConfig, BatchT]]:
    """The models whose losses the steps take in turn; `model` alone where nothing is dropped.

    Each view holds once more what the model derives from its inputs: features, graphs. What enters through
    pre-training, raw content or tokens, or is itself learned (features that `bm3` tunes), is not dropped.

    Args:
        model: as it was built; a model that sees no extracted features is trained as it is.
        inputs: what it was built from.
        options: the probability, how many views; None for no dropout.

    Raises:
        InputError: the model learns something for each cluster of content, which would be other clusters in each view.
    """
    if options is None or model.spec.features is FeatureUse.IGNORED or not inputs.features:
        return [model]
    name = model.spec.name
    if model.spec.clusters:
        raise InputError(
            f"model '{name}' learns something for each cluster of content, which modality dropout would change under "
            f"it; set `model_training: {{{name}: {{modality_dropout: null}}}}`, or leave the model out"
        )
    draws = torch.Generator().manual_seed(_STREAM * (model.generator.initial_seed() + 1) % 2**63)
    return [_view(model, with_dropped(inputs, options.probability, draws)) for _ in range(options.views)]


def with_dropped(inputs: ModelInputs, probability: float, draws: torch.Generator) -> ModelInputs:
    """The inputs with each modality of each item dropped with a probability; `draws` is a CPU's generator."""
    features, graphs = {}, dict(inputs.item_graphs)
    for name, values in inputs.features.items():
        present = inputs.present[name]
        dropped = (torch.rand(len(present), generator=draws) < probability).to(inputs.device) & present
        mean = values.sum(0) / present.sum().clamp(min=1)  # missing rows are zero
        features[name] = torch.where(dropped.unsqueeze(1), mean, values)
        if name in graphs:
            graphs[name] = _linked(features[name], present & ~dropped, graphs[name])
    return replace(inputs, features=features, item_graphs=graphs)


def _linked(values: Tensor, shown: Tensor, graph: Csr) -> Csr:
    """The nearest neighbours of the items that are `shown` [I] among themselves, as many as in `graph`."""
    matrix = FeatureMatrix(values.cpu().numpy(), shown.cpu().numpy())
    found = knn_graph(matrix, int(graph.indptr.diff().max()), device=values.device)
    indptr, indices, weights = (
        torch.from_numpy(part).to(values.device) for part in (found.indptr, found.indices, found.weights)
    )
    return Csr(indptr, indices, weights, found.shape)


def _view(model: Recommender[ModelConfig, BatchT], inputs: ModelInputs) -> Recommender[ModelConfig, BatchT]:
    """`model` built on other features, with its parameters, buffers and generator wherever it holds them."""
    generator = torch.Generator(model.device)
    built = type(model)(model.config, inputs, generator)
    own = {**dict(built.named_parameters()), **dict(built.named_buffers())}
    shared = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    # a copy that finds these in place of its own, also where lists and closures of methods refer to them
    memo: dict[int, object] = {id(own[name]): shared[name] for name in own}
    memo[id(generator)] = model.generator
    for values in (*inputs.features.values(), *inputs.present.values()):
        memo[id(values)] = values  # these are not copied once more
    return deepcopy(built, memo)
