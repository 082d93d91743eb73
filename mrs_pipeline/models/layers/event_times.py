"""When tokens of a history were taken, as vectors: the time since the token before, and the moment itself."""

from typing import Final

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import PAD, OrderedHistories
from mrs_pipeline.models.layers.parameters import vector, xavier

DOUBLINGS: Final = 32
"""Intervals are told apart up to 2^32 seconds, 136 years: the table is as long whatever the data are."""
_MONTH: Final = 30 * 86_400
"""Seconds of the unit of moments: their rates stay of the size of one over years of data."""
_PERIODS: Final = 10_000
"""How much slower the slowest of the waves is than the fastest, nearly."""


class EventTimes(nn.Module):
    """Vectors of intervals, V[floor(scale log2(dt + 1))], and of moments, cos(f_k (w_k t + b_k)), f_k = 10000^(-k/D).

    dt is in seconds; t in months since the first training interaction, which is kept with the weights.
    """

    origin: Tensor

    def __init__(
        self, histories: OrderedHistories, size: int, scale: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        assert histories.times is not None, "the base refuses models of histories without times"
        self._scale, self._start = scale, histories.start
        real = histories.tokens != histories.start
        moments = histories.times[real]
        gaps = histories.times.diff()[real[1:] & real[:-1]]
        nothing = histories.times.new_zeros(())
        self._latest = moments.max() if len(moments) else nothing
        self._typical = gaps.median() if len(gaps) else nothing
        self.register_buffer("origin", (moments.min() if len(moments) else nothing).view(1))
        self.intervals = nn.Parameter(xavier((scale * DOUBLINGS + 1, size), generator))
        self.rates = vector(size, generator)
        self.phases = nn.Parameter(torch.zeros(size, device=generator.device))
        self._frequencies = _PERIODS ** (-torch.arange(size, device=generator.device) / size)

    def forward(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [B, K, D] of intervals and of moments, from `times` [B, K] int64 in the order of time."""
        gaps = times.diff(dim=1, prepend=times[:, :1]).clamp(min=0)
        # in float64, so that no interval is counted to a neighbouring step by rounding
        steps = ((gaps + 1).double().log2() * self._scale).long().clamp(max=len(self.intervals) - 1)
        intervals = take_rows(self.intervals, steps.flatten()).view(*steps.shape, -1)
        months = ((times - self.origin) / _MONTH).unsqueeze(-1)
        return intervals, ((months * self.rates + self.phases) * self._frequencies).cos()

    def typical(self, tokens: Tensor) -> Tensor:
        """[B, K] int64 times for histories `tokens` [B, K] of which the order is all that is known.

        The last item is of the latest moment of training, and the median interval of training lies between any two.
        """
        n_items = ((tokens != PAD) & (tokens != self._start)).sum(1, keepdim=True)
        back = torch.arange(tokens.shape[1] - 1, -1, -1, device=tokens.device)
        return self._latest - self._typical * torch.minimum(back, (n_items - 1).clamp(min=0))
