"""Denoising auto-encoders of items' features whose code is part of an item's vector (CKE)."""

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_features import StandardFeatures


class DenoisingEncoders(nn.Module):
    """One auto-encoder a modality, F -> hidden -> D -> hidden -> F with tanh between, of standardised features.

    Trained to restore rows some entries of which were dropped; the code of a row is that of the whole row. An item
    that lacks the modality has a code of zero and nothing to restore.
    """

    def __init__(self, inputs: ModelInputs, hidden: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._present, self._n_items = inputs.present, inputs.n_items
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        for name, values in inputs.features.items():
            widths = (values.shape[1], hidden, size)
            self.encoders[name] = _network(widths, generator)
            self.decoders[name] = _network(widths[::-1], generator)

    def codes(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Modality -> [n, D] of `items` [n] int64, or of all."""
        if items is None:
            items = torch.arange(self._n_items, device=next(iter(self._present.values())).device)
        return {
            name: encoder(self._features.rows(name, items)) * self._known(name, items)
            for name, encoder in self.encoders.items()
        }

    def restoring_error(self, items: Tensor, rate: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Modality -> mean square of what is missed of `items` [n] that have it, `rate` of their entries dropped."""
        errors = {}
        for name, encoder in self.encoders.items():
            rows, known = self._features.rows(name, items), self._known(name, items)
            # masking noise: what is kept stays as large as it was
            masked = dropout(rows, rate, generator) * (1 - rate)
            missed = (self.decoders[name](encoder(masked)) - rows).square().mean(1, keepdim=True)
            errors[name] = (missed * known).sum() / known.sum().clamp(min=1)
        return errors

    def _known(self, name: str, items: Tensor) -> Tensor:
        return take_rows(self._present[name], items).unsqueeze(1)


def _network(widths: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    first, middle, last = widths
    return nn.Sequential(linear(first, middle, generator), nn.Tanh(), linear(middle, last, generator))
