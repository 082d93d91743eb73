"""Attention of a user to the tokens of an item, other for each pair, and still scored by products.

The scorer is that of VECF (Chen et al., SIGIR 2019): s_t = sum_h w_h relu(k_th g_h), keys k_t = W_k x_t of tokens and
g = W_g p of users. Since relu(k g) = relu(k) relu(g) + relu(-k) relu(-g), it is an inner product of what depends on
the token and what depends on the user, so that a ranking of all items is two products of matrices and a softmax.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.layers.parameters import linear, vector

_FLOATS_AT_ONCE = 20_000_000
"""Scores of users, items and tokens that stand in memory together in a ranking."""


class PairScorer(nn.Module):
    """The two sides of s = sum_h w_h relu(k_h g_h)."""

    def __init__(self, users: int, tokens: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.of_user = linear(users, hidden, generator, bias=False)
        self.of_token = linear(tokens, hidden, generator, bias=False)
        self.weight = vector(hidden, generator)

    def queries(self, users: Tensor) -> Tensor:
        """[B, 2 h] of users [B, .]."""
        return _halves(self.of_user(users)) * self.weight.repeat(2)

    def keys(self, tokens: Tensor) -> Tensor:
        """[n, T, 2 h] of tokens [n, T, .]."""
        return _halves(self.of_token(tokens))


def _halves(x: Tensor) -> Tensor:
    return torch.cat([x.relu(), (-x).relu()], dim=-1)


@dataclass(frozen=True)
class AttendedTokens:
    """What a pair's attention needs of n items.

    Attributes:
        keys: [n, T, H], whose products with a user's query are the scores of tokens.
        values: [n, T, D] what is averaged.
        there: [n, T] bool where there is a token.
    """

    keys: Tensor
    values: Tensor
    there: Tensor

    def shares(self, queries: Tensor, place: Tensor) -> Tensor:
        """[B, T] softmax over the tokens of the items at `place` [B], for queries [B, H]; zero where there is none."""
        scores = (take_rows(self.keys, place) @ queries.unsqueeze(2)).squeeze(2)
        return masked_softmax(scores, take_rows(self.there, place))

    def pooled(self, queries: Tensor, place: Tensor) -> Tensor:
        """[B, D] the shares times the values."""
        return (self.shares(queries, place).unsqueeze(1) @ take_rows(self.values, place)).squeeze(1)

    def scores(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """[B, n] products of `vectors` [B, D] with what `pooled` gives for each pair; blocks of bounded memory."""
        count = self.keys.shape[1]
        size = max(1, _FLOATS_AT_ONCE // max(1, len(queries) * count))
        found = []
        for start in range(0, len(self.keys), size):
            part = slice(start, start + size)
            keys, values = self.keys[part].flatten(0, 1), self.values[part].flatten(0, 1)
            shares = masked_softmax((queries @ keys.T).view(len(queries), -1, count), self.there[part])
            found.append((shares * (vectors @ values.T).view(len(queries), -1, count)).sum(2))
        return torch.cat(found, dim=1)


def side_by_side(parts: list[AttendedTokens]) -> AttendedTokens:
    """The items of several blocks, one after the other."""
    fields = zip(*((part.keys, part.values, part.there) for part in parts), strict=True)
    return AttendedTokens(*(torch.cat(each) for each in fields))
