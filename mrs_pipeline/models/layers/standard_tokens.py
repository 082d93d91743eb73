"""Regions and words whose columns have mean 0 and deviation 1."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mrs_pipeline.models.inputs import TokenTensors

_SAMPLE = 4096
"""Items, evenly spread over those that have tokens, of which the statistics are taken."""
AT_ONCE = 1024
"""Items whose tokens stand in memory together where all are looked at: 26 MB a block for 49 x 128 tokens."""


class StandardTokens:
    """Tokens read by rows and standardised column by column; where there is no token there are zeros.

    The statistics are of the tokens of 4,096 items at the most and are the same for a map that is read again.
    """

    def __init__(self, tokens: Mapping[str, TokenTensors]) -> None:
        self.tokens = tokens
        self._means: dict[str, Tensor] = {}
        self._scales: dict[str, Tensor] = {}
        for modality, each in tokens.items():
            having = torch.nonzero(each.present).flatten()
            chosen = having[:: max(1, len(having) // _SAMPLE)]
            sums = squares = torch.zeros(each.width, dtype=torch.float64, device=each.present.device)
            n = 0
            for block in torch.split(chosen, AT_ONCE):
                rows, there = each.rows(block)
                found = rows.double().flatten(0, 1)
                sums, squares = sums + found.sum(0), squares + found.square().sum(0)
                n += int(there.sum())
            mean = sums / max(n, 1)
            variance = squares / max(n, 1) - mean.square()
            scale = torch.where(variance > 1e-8 * mean.square(), variance.clamp(min=1e-12).rsqrt(), 0.0)
            self._means[modality] = mean.to(torch.get_default_dtype())
            self._scales[modality] = scale.to(torch.get_default_dtype())

    def rows(self, modality: str, items: Tensor) -> tuple[Tensor, Tensor]:
        """[n, T, D] of `items` [n] int64, and [n, T] bool where there is a token."""
        found, there = self.tokens[modality].rows(items)
        standard = (found - self._means[modality]) * self._scales[modality]
        return torch.where(there.unsqueeze(2), standard, 0.0), there


def token_mean(rows: Tensor, there: Tensor) -> Tensor:
    """[n, D] mean of the tokens [n, T, D] that are `there` [n, T]; zero where none is.

    >>> token_mean(torch.tensor([[[2.0], [4.0], [0.0]]]), torch.tensor([[True, True, False]]))
    tensor([[3.]])
    """
    return (rows * there.unsqueeze(2)).sum(1) / there.sum(1, keepdim=True).clamp(min=1)
