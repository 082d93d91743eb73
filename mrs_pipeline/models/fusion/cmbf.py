"""CMBF, of items. Chen et al., "CMBF: Cross-Modal-Based Fusion Recommendation Algorithm", Sensors 2021.

https://doi.org/10.3390/s21165275

Equation: a modality is `n_tokens` tokens, the parts of W_m x^m/|x^m| + b_m, and goes through a transformer block of
its own, y = LN(z + MHA(z, z, z)), z = LN(y + FFN(y)). `n_blocks` times each modality is then crossed with the others,
all at once: c = MHA(Q = own, K = V = the tokens of all others), s = MHA(c, c, c), o = LN(s + c), z = LN(FFN(o) + o).
The item's vector is e_i + MLP of the modalities' mean tokens side by side; y_ui = <p_u, .>; loss = BPR + reg_weight *
half the squared norm of the rows.

Deviations: the user stands outside, so that items have vectors of their own; published is a classifier of pairs, with
the user as one more word of the text. Tokens are parts of a projected vector, where regions and words are not at
hand. A modality that an item lacks has learned tokens. Any number of modalities: crossed with all others together,
and alone with itself. The cross step has no shortcut to its own tokens, as published. Heads of one width.

Complexity: O(B M T (F D + D^2 + M T D)) a step of B distinct items, T tokens; as much for each item to score.
"""

from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.cross_attention import AttendAndFeed, CrossAttention
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_CROSSED_AT_ONCE = 4096
"""Items whose tokens are in memory together when scoring."""


class CmbfConfig(GradientConfig):
    """Settings of CMBF."""

    search_space: ClassVar[SearchSpace] = {
        "n_blocks": (1, 2, 3),
        "n_tokens": (2, 4, 8),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    n_tokens: int = Field(default=4, ge=1, le=256)
    """Tokens T of a modality."""
    n_blocks: int = Field(default=1, ge=1, le=8)
    """Crossings."""
    n_heads: int = Field(default=2, ge=1, le=64)
    """Attention heads; must divide `embedding_size`."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's vectors."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide embedding_size {self.embedding_size}")
        return self


class Cmbf(IdentifierRecommender[CmbfConfig]):
    """Modalities that attend to one another before they become an item's vector; see the module."""

    spec = ModelSpec(
        name="cmbf",
        title="CMBF (of items)",
        paper="Chen et al., Sensors 2021",
        url="https://doi.org/10.3390/s21165275",
        cells=frozenset({Cell.COARSE_ATTENTION}),
        complexity="O(B M T (F D + D^2 + M T D))",
        features=FeatureUse.REQUIRED,
    )
    Config = CmbfConfig

    def __init__(self, config: CmbfConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, names = config.embedding_size, list(inputs.features)
        self.tokens = ModalityProjection(with_unit_features(inputs), config.n_tokens * size, generator)
        self.own = nn.ModuleDict({name: AttendAndFeed(size, config.n_heads, generator) for name in names})
        self.crossings = nn.ModuleList(
            nn.ModuleDict({name: _Crossing(size, config.n_heads, generator) for name in names})
            for _ in range(config.n_blocks)
        )
        self.hidden = linear(len(names) * size, 2 * size, generator)
        self.output = linear(2 * size, size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        rows = DistinctRows.of(batch)
        final = rows.pair_rows(take_rows(self.user_embedding, rows.users), self._vectors(rows.items))
        return {"bpr": bpr_inner(*final), "reg": self.config.reg_weight * squared_norm(*final)}

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D]; identifiers and crossed content [I, D]."""
        everything = torch.arange(self.n_items, device=self.device)
        return self.user_embedding, torch.cat(
            [self._vectors(some) for some in torch.split(everything, _CROSSED_AT_ONCE)]
        )

    def _vectors(self, items: Tensor) -> Tensor:
        """[n, D] of `items` [n]."""
        shape = (len(items), self.config.n_tokens, self.config.embedding_size)
        tokens = {name: rows.view(shape) for name, rows in self.tokens(items).items()}
        tokens = {name: self.own[name](rows) for name, rows in tokens.items()}
        for crossing in self.crossings:
            assert isinstance(crossing, nn.ModuleDict)
            tokens = {
                name: crossing[name](rows, _other_modalities(tokens, name)) for name, rows in tokens.items()
            }
        pooled = torch.cat([rows.mean(1) for rows in tokens.values()], dim=1)
        content: Tensor = self.output(self.hidden(pooled).relu())
        return take_rows(self.item_embedding, items) + content


def _other_modalities(tokens: dict[str, Tensor], name: str) -> Tensor:
    """The tokens [n, ., D] of all other modalities; its own, of the only one."""
    others = [rows for other, rows in tokens.items() if other != name]
    return torch.cat(others, dim=1) if others else tokens[name]


class _Crossing(nn.Module):
    """A modality that looks at the others, then at what it saw."""

    def __init__(self, size: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.cross = CrossAttention(size, n_heads, generator)
        self.block = AttendAndFeed(size, n_heads, generator)

    def forward(self, own: Tensor, others: Tensor) -> Tensor:
        """[n, T, D] from own tokens [n, T, D] and others' [n, S, D]."""
        crossed: Tensor = self.block(self.cross(own, others))
        return crossed
