"""MM-GF. Roh et al., "Training-free Graph Filtering via Multimodal Feature Refinement for Extremely Fast Multimodal
Recommendation", arXiv 2025.

https://arxiv.org/abs/2503.04406

Equation: y_u = the sum of the rows i of S that u has taken, S = P + content_weight * mean over m of P_m. P = (R~'R~)^s
element by element with R~ = D_u^-a R D_i^(a-1), D the row and the column sums of R. P_m = (X~X~')^s with X~ = D_r^-a X D_c^(a-1)
and X the modality's features, each column less its median and over its interquartile range, then all less the smallest
of them, so that none is negative. a is `normalisation`, s `sharpness`. These are the filters of order one.

Deviations: each P is divided by the mean of its diagonal, so that `content_weight` means the same at any scale of
features, and the `n_neighbours` largest entries of a row of S off the diagonal are kept, as no [I, I] is ever held. The
rows of items that lack a modality are zero in P_m and have no part in medians and minima.

Complexity: O(sum of squared history lengths + I^2 F) once in blocks of rows of 64 MiB; memory O(I (F + k)).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.config import ModelConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_neighbours import ItemNeighbours
from mrs_pipeline.models.layers.neighbours import Products, kept, largest, shared_products, vector_products
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MmGfConfig(ModelConfig):
    """Settings of MM-GF."""

    search_space: ClassVar[SearchSpace] = {
        "normalisation": (0.5, 0.6, 0.7, 0.8, 0.9),
        "sharpness": (0.5, 0.67, 1.0, 1.5),
        "content_weight": (0.01, 0.03, 0.1, 0.3, 1.0),
        "n_neighbours": (100, 200, 500),
    }

    normalisation: float = Field(default=0.7, ge=0, le=1)
    """How far users, and items 1 - as far, with many interactions count less (the paper's alpha)."""
    sharpness: float = Field(default=0.67, gt=0, le=10)
    """Power that similarities are raised to (the paper's s)."""
    content_weight: float = Field(default=0.1, ge=0)
    """Weight of content beside interactions."""
    n_neighbours: int = Field(default=200, ge=1)
    """Entries of a row of S that are kept."""


class MmGf(ItemNeighbours[MmGfConfig]):
    """Linear filter over item graphs of interactions and content; see the module."""

    spec = ModelSpec(
        name="mm_gf",
        title="MM-GF",
        paper="Roh et al., arXiv 2025",
        url="https://arxiv.org/abs/2503.04406",
        cells=frozenset({Cell.ITEM_ITEM_GRAPH, Cell.OTHER_FUSION}),
        complexity="O(I^2 F)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = MmGfConfig

    def __init__(self, config: MmGfConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator, kept(config.n_neighbours, inputs.n_items), "source")
        self._inputs = inputs

    def fit_closed_form(self) -> None:
        """Adds up the graphs block by block and keeps the largest of each row."""
        config, features = self.config, self._inputs.features
        shared = shared_products(self.history.transposed(), -2 * config.normalisation)
        scale = shared.counts.clamp(min=1) ** (config.normalisation - 1)
        taken = Products(
            lambda rows: shared.rows(rows) * scale[rows].unsqueeze(1) * scale,
            shared.own * scale.square(),
            shared.counts,
        )
        shares = [(taken, 1.0)] + [
            (
                vector_products(refined(values, self._inputs.present[name], config.normalisation)),
                config.content_weight / len(features),
            )
            for name, values in features.items()
        ]
        level = [share / _mean_power(products.own, config.sharpness) for products, share in shares]

        def filtered(rows: Tensor) -> Tensor:
            parts = zip(shares, level, strict=True)
            powers = [part.rows(rows).clamp_(min=0).pow_(config.sharpness).mul_(by) for (part, _), by in parts]
            return torch.stack(powers).sum(0)

        self.neighbours, self.similarities = largest(filtered, self.neighbours.shape[1], shared.own)


def refined(values: Tensor, present: Tensor, normalisation: float) -> Tensor:
    """X~ [I, F] of raw features [I, F]: scaled by quantiles, shifted above zero, normalised by row and column sums."""
    known = torch.nonzero(present).flatten()
    rows = values[known]
    if not rows.numel():
        return torch.zeros_like(values)
    low, middle, high = _quantiles(rows)
    spread = high - low
    rows = (rows - middle) / torch.where(spread > 0, spread, 1.0)
    rows = rows - rows.min()
    sums, columns = rows.sum(1), rows.sum(0)
    rows = rows * torch.where(sums > 0, sums, 1.0).unsqueeze(1) ** -normalisation
    rows = rows * torch.where(columns > 0, columns, 1.0) ** (normalisation - 1)
    return torch.zeros_like(values).index_copy(0, known, rows)


def _quantiles(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quartiles [F] of the columns [n, F], linear between neighbours; `torch.quantile` takes no large matrix."""
    ordered = rows.sort(dim=0).values
    found = []
    for share in (0.25, 0.5, 0.75):
        place = share * (len(rows) - 1)
        below = int(place)
        above = min(below + 1, len(rows) - 1)
        found.append(torch.lerp(ordered[below], ordered[above], place - below))
    return found[0], found[1], found[2]


def _mean_power(own: Tensor, sharpness: float) -> float:
    """Mean of the diagonal of a graph over the items in it; one where it is empty."""
    mean = float((own**sharpness).sum() / (own > 0).sum().clamp(min=1))
    return mean if mean > 0 else 1.0
