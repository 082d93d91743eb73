"""The Transformer of PMGT: a node and its contexts as a short sequence, attention that prefers what differs.

Which nodes form a sequence and what is learnt from it is said in `pmgt`.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.layers.parameters import linear


class GraphTransformer(nn.Module):
    """Layers over sequences [B, S, D]: the node first, then its contexts by rank.

    Equation: x = LN(h + position + role); per layer A = beta softmax(1 - cos(c_i, c_j) + [i = j]) +
    (1 - beta) softmax(q_i k_j / sqrt(D)) with c = W_c x, x = LN(x + W_o A V), x = LN(x + W_2 gelu(W_1 x)).
    """

    def __init__(
        self,
        size: int,
        length: int,
        generator: torch.Generator,
        *,
        n_layers: int,
        diversity: float,
        dropout_share: float,
    ) -> None:
        super().__init__()
        self._generator, self._dropout = generator, dropout_share
        self.position: nn.Parameter = _table(length, size, generator)
        self.role: nn.Parameter = _table(2, size, generator)
        self.norm = nn.LayerNorm(size, device=generator.device)
        self.layers = nn.ModuleList(
            _TransformerLayer(size, diversity, dropout_share, generator) for _ in range(n_layers)
        )

    def forward(self, tokens: Tensor, absent: Tensor) -> Tensor:
        """Hidden states [B, S, D] of `tokens` [B, S, D]; places that are `absent` [B, S] are not attended to."""
        roles = torch.cat([self.role[:1], self.role[1:].expand(tokens.shape[1] - 1, -1)])
        hidden: Tensor = self.norm(tokens + self.position[: tokens.shape[1]] + roles)
        hidden = dropout(hidden, self._dropout if self.training else 0.0, self._generator)
        for layer in self.layers:
            hidden = layer(hidden, absent)
        return hidden


class _TransformerLayer(nn.Module):
    def __init__(self, size: int, diversity: float, dropout_share: float, generator: torch.Generator) -> None:
        super().__init__()
        self._generator, self._diversity, self._dropout = generator, diversity, dropout_share
        self.mixed = linear(size, 4 * size, generator)
        """Query, key, value and the vector whose differences are sought, in one product."""
        self.out = linear(size, size, generator)
        self.inner = linear(size, size, generator)
        self.outer = linear(size, size, generator)
        self.norms = nn.ModuleList(nn.LayerNorm(size, device=generator.device) for _ in range(2))

    def forward(self, hidden: Tensor, absent: Tensor) -> Tensor:
        hidden = self.norms[0](hidden + self._drop(self.out(self._attended(hidden, absent))))
        out: Tensor = self.norms[1](hidden + self._drop(self.outer(gelu(self.inner(hidden)))))
        return out

    def _attended(self, hidden: Tensor, absent: Tensor) -> Tensor:
        query, key, value, unlike = self.mixed(hidden).chunk(4, dim=2)
        shared = query @ key.transpose(1, 2) / query.shape[2] ** 0.5
        unlike = normalize(unlike, dim=2)
        identity = torch.eye(hidden.shape[1], device=hidden.device)
        diverse = 1 - unlike @ unlike.transpose(1, 2) + identity
        hidden_away = absent.unsqueeze(1)
        weights = [
            self._drop(logits.masked_fill(hidden_away, -torch.inf).softmax(2)) for logits in (diverse, shared)
        ]
        attended: Tensor = (self._diversity * weights[0] + (1 - self._diversity) * weights[1]) @ value
        return attended

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self._dropout if self.training else 0.0, self._generator)


def _table(n: int, size: int, generator: torch.Generator) -> nn.Parameter:
    table = torch.empty(n, size, device=generator.device)
    return nn.Parameter(nn.init.normal_(table, std=0.02, generator=generator))
