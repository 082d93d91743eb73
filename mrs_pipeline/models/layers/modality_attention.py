"""Attention over an item's modalities: of raw features side by side (PMGT), of views one by one (MGCN, MICRO)."""

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear, vector
from mrs_pipeline.models.layers.standard_features import StandardFeatures


class FeatureAttention(nn.Module):
    """An item's modalities as one vector: sum_m a_m h_m with h_m = W_m x~^m + b_m, a = softmax(A tanh([h_1; ..; h_M])).

    The attention of PMGT (Liu et al., MM 2021). A modality that an item lacks gets no share; an item that lacks all
    of them gets a learned vector.
    """

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._present = inputs.present
        self.layers = nn.ModuleDict(
            {name: linear(values.shape[1], size, generator) for name, values in inputs.features.items()}
        )
        n = len(inputs.features)
        # one modality gets the whole share whatever the attention says
        self.attention = linear(n * size, n, generator) if n > 1 else None
        self.unknown: nn.Parameter | None = None
        if not bool(torch.stack(list(inputs.present.values())).any(0).all()):
            self.unknown = vector(size, generator)

    def forward(self, items: Tensor) -> Tensor:
        """[B, D] of `items` [B]."""
        present = torch.stack([take_rows(mask, items) for mask in self._present.values()], dim=1)
        tokens = torch.stack(
            [layer(self._features.rows(name, items)) for name, layer in self.layers.items()], dim=1
        )
        tokens = torch.where(present.unsqueeze(2), tokens, 0.0)
        some = present.any(1, keepdim=True)
        if self.attention is None:
            fused = tokens[:, 0]
        else:
            logits = self.attention(tokens.tanh().flatten(1)).masked_fill(~present & some, -torch.inf)
            fused = (logits.softmax(1).unsqueeze(2) * tokens).sum(1)
        return fused if self.unknown is None else torch.where(some, fused, self.unknown)


class ViewAttention(nn.Module):
    """Shares of modalities: softmax over m of q' tanh(W h_m + b), among the modalities that a node has."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(size, size, generator)
        self.query = linear(size, 1, generator, bias=False)

    def forward(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, M] shares for views [n, M, D]; rows of zeros where nothing is `present` [n, M]."""
        scores: Tensor = self.query(torch.tanh(self.hidden(views))).squeeze(-1)
        return masked_softmax(scores, present)


class MixedViews(nn.Module):
    """A node's views attend to one another: the mean over views of W_o [head_1; ..; head_H].

    head_h = softmax((Q_h v)(K_h v)' / sqrt(D / H)) v_h, among the views that the node has; v_h is the h-th of H parts
    of the views themselves.
    """

    def __init__(self, size: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.query = linear(size, size, generator, bias=False)
        self.key = linear(size, size, generator, bias=False)
        self.output = linear(size, size, generator, bias=False)

    def forward(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, D] of views [n, M, D], of which those count that are `present` [n, M]; zero where none is."""
        query, key, value = (self._heads(part) for part in (self.query(views), self.key(views), views))
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        shares = masked_softmax(scores, present[:, None, None, :].expand_as(scores))
        heads = (shares @ value).transpose(1, 2).flatten(2)
        there = present.unsqueeze(2).to(views.dtype)
        # the map and the mean commute
        mixed: Tensor = self.output((heads * there).sum(1) / there.sum(1).clamp(min=1))
        return mixed

    def _heads(self, views: Tensor) -> Tensor:
        """[n, H, M, D / H]."""
        n, m, size = views.shape
        return views.view(n, m, self._n_heads, size // self._n_heads).transpose(1, 2)
