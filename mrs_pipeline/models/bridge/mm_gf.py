"""MM-GF: a linear filter over item graphs of interactions and of content; nothing is trained.

Roh et al., "Training-free Graph Filtering via Multimodal Feature Refinement for Extremely Fast Multimodal
Recommendation", arXiv 2025. https://arxiv.org/abs/2503.04406

Equation: y_u = the sum of the rows i of S that u has taken, S = P + content_weight * mean over m of P_m. P = (R~'R~)^s
element by element with R~ = D_u^-a R D_i^(a-1), D the row and the column sums of R. P_m = (X~X~')^s with X~ = D_r^-a X
D_c^(a-1) and X the modality's features, each column less its median and over its interquartile range, then all less the
smallest of them, so that none is negative. a is `normalisation`, s `sharpness`. These are the filters of order one.

Deviations: each P is divided by the mean of its diagonal, so that `content_weight` means the same at any scale of
features, and the `n_neighbours` largest entries of a row of each P off the diagonal are kept, as no [I, I] is ever
held. The rows of items that lack a modality are zero in P_m and have no part in medians and minima.

Complexity: O(sum of squared history lengths + I^2 F) once in blocks of rows of 64 MiB; memory O(I (F + k M)).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.config import ModelConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.neighbours import Products, kept, largest, shared_products, vector_products
from mrs_pipeline.models.layers.sparse_item_weights import SparseItemWeights
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MmGfConfig(ModelConfig):
    """Settings of MM-GF."""

    search_space: ClassVar[SearchSpace] = {
        "normalisation": (0.5, 0.6, 0.7, 0.8, 0.89, 1.0),
        "sharpness": (0.5, 0.67, 1.0, 1.5),
        "content_weight": (0.01, 0.03, 0.1, 0.3, 1.0),
        "n_neighbours": (100, 200, 500),
    }

    normalisation: float = Field(default=0.89, ge=0, le=1)
    """How far users, and items 1 - as far, with many interactions count less (the paper's alpha)."""
    sharpness: float = Field(default=0.67, gt=0, le=10)
    """Power that similarities are raised to (the paper's s)."""
    content_weight: float = Field(default=0.1, ge=0)
    """Weight of content beside interactions."""
    n_neighbours: int = Field(default=200, ge=1)
    """Entries of a row of each graph that are kept."""


class MmGf(SparseItemWeights[MmGfConfig]):
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
        width = (1 + len(inputs.features)) * kept(config.n_neighbours, inputs.n_items)
        super().__init__(config, inputs, generator, width, "source")
        self._inputs = inputs

    def tables(self) -> dict[str, slice]:
        """Neighbours by users, then by each modality."""
        width = kept(self.config.n_neighbours, self.n_items)
        names = ["interactions", *self._inputs.features]
        return {name: slice(at * width, (at + 1) * width) for at, name in enumerate(names)}

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
        tables = [self._nearest(taken, 1.0)]
        for name, values in features.items():
            vectors = refined(values, self._inputs.present[name], config.normalisation)
            tables.append(self._nearest(vector_products(vectors), config.content_weight / len(features)))
        self.neighbours = torch.cat([columns for columns, _ in tables], dim=1)
        self.similarities = torch.cat([values for _, values in tables], dim=1)

    def _nearest(self, graph: Products, share: float) -> tuple[Tensor, Tensor]:
        """The largest entries of a graph's rows, raised to the power and at the level of its diagonal."""
        own = graph.own**self.config.sharpness
        level = own.sum() / (own > 0).sum().clamp(min=1)
        width = kept(self.config.n_neighbours, self.n_items)
        columns, values = largest(
            lambda rows: graph.rows(rows).clamp_(min=0).pow_(self.config.sharpness), width, graph.own
        )
        return columns, values * (share / level.clamp(min=torch.finfo(level.dtype).tiny))


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
