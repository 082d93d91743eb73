"""Calibration: whether a list mixes the values of an attribute as the user's history does.

Both users had records only. User 0 is shown books, user 1 one of each.

>>> from mrs_pipeline.metrics.example import two_users
>>> CALIBRATION.per_user(two_users(), 2).round(4)
array([4.6052, 0.6832])
"""

import math

import numpy as np
import numpy.typing as npt

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Attribute, Evidence, Values, divided, weighted_counts

_SMOOTHING = 0.01
"""Share of the history that is mixed into the list's distribution, so that it is zero nowhere the history is not."""
_AT_ONCE = 2**22
"""Numbers that stand in memory together: 32 MB of float64."""


def _calibration(evidence: Evidence, k: int) -> Values:
    attribute, profiles = evidence.background.facts.attribute, evidence.profiles
    if attribute is None:
        raise ValueError("calibration reads an attribute of the items: name one in ItemFacts")
    top = evidence.top(k)
    result = np.empty(evidence.n_rows)
    size = max(1, _AT_ONCE // max(attribute.n_values, 1))
    for start in range(0, evidence.n_rows, size):
        rows = np.arange(start, min(start + size, evidence.n_rows))
        lists = top[rows]
        listed = lists >= 0
        own = profiles.take(rows)
        history = _distribution(attribute, own.rows, own.values, len(rows))
        offered = _distribution(attribute, np.nonzero(listed)[0], lists[listed].astype(np.int64), len(rows))
        result[rows] = _divergence(history, offered)
    return result


def _distribution(
    attribute: Attribute, rows: npt.NDArray[np.int64], items: npt.NDArray[np.int64], n_rows: int
) -> Values:
    """[n_rows, n_values] Steck's p(g|u): each item shares its weight equally among its values; NaN without any."""
    of_items = attribute.values.take(items)
    weight = 1.0 / np.maximum(np.diff(of_items.starts), 1)
    cells = rows[of_items.rows] * attribute.n_values + of_items.values
    mass = weighted_counts(cells, weight[of_items.rows], n_rows * attribute.n_values)
    mass = mass.reshape(n_rows, attribute.n_values)
    return divided(mass, np.broadcast_to(mass.sum(1, keepdims=True), mass.shape))


def _divergence(history: Values, offered: Values) -> Values:
    """[b] KL(p || (1 - a) q + a p) in nats."""
    mixed = (1 - _SMOOTHING) * offered + _SMOOTHING * history
    ratio = np.divide(history, mixed, out=np.ones_like(history), where=~(history <= 0))
    divergence: Values = (history * np.log(ratio)).sum(1)
    return divergence


CALIBRATION = Metric(
    name="calibration",
    title="Miscalibration by an attribute",
    formula="sum over values g of p(g) ln(p(g) / q'(g)); p: distribution of the attribute over the user's training "
    "items, q: over the first k, q' = 0.99 q + 0.01 p; an item shares its weight equally among its values",
    source="Steck: Calibrated recommendations, RecSys 2018, section 3",
    high=-math.log(_SMOOTHING),
    better="lower",
    per_user=_calibration,
    needs=frozenset({Need.LISTS, Need.ATTRIBUTE}),
    unit="nats",
    note="0: the list mixes the values as the history does. Items without a value are left out; not defined for a user "
    "whose history or list has none.",
)
