"""Gini index of exposure: how unequally the items share the places of all lists.

The four places go to items 1, 2, 3, 3: counts 0, 0, 1, 1, 2.

>>> from mrs_pipeline.metrics.example import two_users
>>> round(GINI.overall(two_users(), 2), 4)
0.5
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence


def _gini(evidence: Evidence, k: int) -> float:
    shown = evidence.shown(k)
    shown = np.sort(shown[shown > 0])  # items that nobody is shown come first and add nothing to the sum
    n = evidence.catalogue
    if not n or not len(shown):
        return float("nan")
    place = np.arange(n - len(shown) + 1, n + 1)
    return float(((2 * place - n - 1) * shown).sum() / (n * shown.sum()))


GINI = Metric(
    name="gini",
    title="Gini index of exposure",
    formula="sum over i of (2 i − N − 1) x_i / (N sum of x_i); x_1 ≤ … ≤ x_N places of each of the N candidates",
    source="Fleder, Hosanagar: Blockbuster culture's next rise or fall, Management Science 55 (2009)",
    better="lower",
    overall=_gini,
    needs=frozenset({Need.LISTS}),
    note="0: every candidate is shown equally often; (N − k) / N: everybody is shown the same k.",
)
