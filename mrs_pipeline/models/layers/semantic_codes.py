"""Semantic identifiers: items as a few code words made from content by product quantisation."""

import torch
from torch import Tensor

from mrs_pipeline.functional.clustering import kmeans, nearest_centre
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_clusters import NONE
from mrs_pipeline.models.layers.standard_features import StandardFeatures, leading_components

_WIDTH = 8
"""Principal components that a digit quantises."""


def semantic_codes(inputs: ModelInputs, n_digits: int, n_codes: int) -> Tensor:
    """[I, M n_digits] int64 code words, `n_digits` a modality, each the nearest of at most `n_codes` centres.

    A modality's whitened leading components are cut into digits, which are clustered one by one. The centres are those
    of the items that training has seen, so that a cold item moves none. Digits of a modality that an item lacks are
    `NONE`.
    """
    features = StandardFeatures(inputs.features, inputs.present)
    seen, found = inputs.items_seen(), []
    for modality, present in inputs.present.items():
        rows = leading_components(features, modality, inputs.n_items, _WIDTH * n_digits)
        known = present & seen if bool((present & seen).any()) else present
        spread = rows[known].square().mean(0).sqrt() if bool(known.any()) else rows.new_ones(rows.shape[1])
        rows = torch.where(spread > 1e-6, rows / spread.clamp(min=1e-6), 0.0)
        # components are dealt to digits in turn, so that each digit has some of the leading ones
        for digit in range(n_digits):
            part = rows[:, digit::n_digits]
            if bool(known.any()):
                code = nearest_centre(part, kmeans(part[known], n_codes))
            else:
                code = torch.zeros(inputs.n_items, dtype=torch.int64, device=inputs.device)
            found.append(torch.where(present, code, NONE))
    return torch.stack(found, dim=1)
