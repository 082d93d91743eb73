"""A Wasserstein critic of users' rows over items, played against inside one loss (MMSSL).

Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017. The generator's term reads the critic's
weights as constants, the critic's term reads the generator's rows as constants: one optimiser takes both steps.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

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
        self, real: Tensor, fake: Tensor, items: Tensor, penalty: float, generator: torch.Generator
    ) -> Tensor:
        """The difference mean D(fake) - mean D(real) + penalty * mean (|grad D| - 1)^2 between them.

        The rows get no gradient.
        """
        real, fake = real.detach(), fake.detach()
        share = torch.rand((len(real), 1), generator=generator, device=real.device, dtype=real.dtype)
        between = (share * real + (1 - share) * fake).requires_grad_()
        slope = torch.autograd.grad(self(between, items).sum(), between, create_graph=True)[0]
        excess = (slope.square().sum(1) + 1e-12).sqrt() - 1
        found: Tensor = self(fake, items).mean() - self(real, items).mean() + penalty * excess.square().mean()
        return found
