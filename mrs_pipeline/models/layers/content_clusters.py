"""What clusters an item's content falls into: a stand-in for categories and entities where a catalogue names none."""

import torch
from torch import Tensor

from mrs_pipeline.functional.clustering import kmeans
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.standard_features import StandardFeatures

NONE = -1
"""The cluster of an item that lacks the modality."""


def content_clusters(inputs: ModelInputs, modality: str, k: int, each: int = 1) -> Tensor:
    """[I, each'] int64 nearest of k clusters of a modality's standardised rows, nearest first; `NONE` where missing.

    Centres are those of the items that training has seen, so that a cold item moves none. each' is no more than there
    are clusters.
    """
    features = StandardFeatures(inputs.features, inputs.present)
    present = inputs.present[modality]
    known = torch.nonzero(present & inputs.items_seen()).flatten()
    known = known if len(known) else torch.nonzero(present).flatten()
    if not len(known):
        return torch.full((inputs.n_items, 1), NONE, dtype=torch.int64, device=inputs.device)
    centres = kmeans(features.rows(modality, known), k)
    rows = features.rows(modality, torch.arange(inputs.n_items, device=inputs.device))
    distances = centres.square().sum(1) - 2 * rows @ centres.T
    nearest = distances.topk(min(each, len(centres)), dim=1, largest=False).indices
    return torch.where(present.unsqueeze(1), nearest, NONE)
