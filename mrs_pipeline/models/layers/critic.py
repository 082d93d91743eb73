"""A Wasserstein critic of users' rows over items, played against inside one loss (MMSSL).

Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017. The generator's term reads the critic's
weights as constants, the critic's term reads the generator's rows as constants: one optimiser takes both steps.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mrs_pipeline.functional.distinct import mean_of
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.layers.parameters import linear, xavier


class RowCritic(nn.Module):
    """D(row) = w' LeakyReLU(V LeakyReLU(sum over items j of row_j T_j)) with a vector T_j of each item.

    Only the items that are asked about are read, so that a step costs their number and not the catalogue's.
    """

    def __init__(self, n_items: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.items = nn.Parameter(xavier((n_items, size), generator))
        self.head = nn.Sequential(
            nn.LeakyReLU(),
            linear(size, size, generator),
            nn.LeakyReLU(),
            linear(size, 1, generator, bias=False),
        )

    def forward(self, rows: Tensor, items: Tensor) -> Tensor:
        """[B] of rows [B, n] over `items` [n] int64."""
        judged: Tensor = self.head(rows @ take_rows(self.items, items))
        return judged.squeeze(1)

    def of_constants(self, rows: Tensor, items: Tensor) -> Tensor:
        """The same, with a gradient for `rows` only."""
        weights = {name: parameter.detach() for name, parameter in self.named_parameters()}
        found: Tensor = functional_call(self, weights, (rows, items))
        return found

    def distance(
        self,
        real: Tensor,
        fake: Tensor,
        items: Tensor,
        *,
        share: Tensor,
        penalty: float,
        weights: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """The difference mean D(fake) - mean D(real) + penalty * mean (|grad D| - 1)^2 between them.

        Args:
            real: [B, n]; gets no gradient.
            fake: [B, n]; gets no gradient.
            items: [n] int64 that the columns stand for.
            share: [B] in 0..1 where the slope is taken: 0 at the fake row, 1 at the real one.
            penalty: its weight.
            weights: [B] which rows count; all if None.
            columns: [n] which of `items` count, the others of the rows being zero; all if None.
        """
        real, fake = real.detach(), fake.detach()
        between = torch.lerp(fake, real, share.unsqueeze(1)).requires_grad_()
        slope = torch.autograd.grad(self(between, items).sum(), between, create_graph=True)[0]
        if columns is not None:
            slope = slope * columns
        excess = (slope.square().sum(1) + 1e-12).sqrt() - 1
        gaps = self(fake, items) - self(real, items)
        return mean_of(gaps + penalty * excess.square(), weights)
