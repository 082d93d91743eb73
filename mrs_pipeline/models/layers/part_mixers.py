"""Five ways to make one vector of an item's identifier and modalities. Formulas without parameters are elsewhere."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import IDENTIFIER, MaskedParts

Mix = Literal["concat", "sum", "product", "gate", "attention"]


def part_mixer(mix: Mix, modalities: Sequence[str], size: int, generator: torch.Generator) -> nn.Module:
    """A module from `MaskedParts` to vectors [B, D]; an absent part takes no part."""
    match mix:
        case "sum":
            return _SumMix()
        case "product":
            return _ProductMix()
        case "concat":
            return _ConcatMix(modalities, size, generator)
        case "gate":
            return _GateMix(modalities, size, generator)
        case "attention":
            return _AttentionMix(size, generator)


class _SumMix(nn.Module):
    """e + sum of the modalities."""

    def forward(self, parts: MaskedParts) -> Tensor:
        return torch.stack([values for values, _ in parts.values()]).sum(0)


class _ProductMix(nn.Module):
    """(1 + e) * prod (1 + z) - 1; ones keep a product of small vectors from vanishing."""

    def forward(self, parts: MaskedParts) -> Tensor:
        total: Tensor | None = None
        for values, _ in parts.values():
            total = values if total is None else total + values + total * values
        assert total is not None
        return total


class _ConcatMix(nn.Module):
    """W [e ; z^1 ; ...]."""

    def __init__(self, modalities: Sequence[str], size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = linear((1 + len(modalities)) * size, size, generator, bias=False)

    def forward(self, parts: MaskedParts) -> Tensor:
        fused: Tensor = self.layer(torch.cat([values for values, _ in parts.values()], dim=1))
        return fused


class _GateMix(nn.Module):
    """Each modality passes a gate that knows it and the identifier."""

    def __init__(self, modalities: Sequence[str], size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.gates = nn.ModuleDict({modality: linear(2 * size, size, generator) for modality in modalities})

    def forward(self, parts: MaskedParts) -> Tensor:
        identifier = fused = parts[IDENTIFIER][0]
        for modality, gate in self.gates.items():
            content = parts[modality][0]
            fused = fused + torch.sigmoid(gate(torch.cat([identifier, content], dim=1))) * content
        return fused


class _AttentionMix(nn.Module):
    """Parts weighted by a softmax of q . tanh(A part + b), over those that are there."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(size, size, generator)
        self.query = linear(size, 1, generator, bias=False)

    def forward(self, parts: MaskedParts) -> Tensor:
        stacked = torch.stack([values for values, _ in parts.values()], dim=1)
        weights = masked_softmax(
            self.query(torch.tanh(self.hidden(stacked))).squeeze(2),
            torch.stack([present for _, present in parts.values()], dim=1),
        )
        return (weights.unsqueeze(2) * stacked).sum(1)
