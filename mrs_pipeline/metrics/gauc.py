"""Group AUC: the AUC of each user, weighted by how much of the test the user is.

AUC is 1/2 for user 0, who has two relevant items, and 2/3 for user 1, who has one.

>>> from mrs_pipeline.metrics.example import two_users
>>> round(GAUC.overall(two_users(), 0), 4)
0.5556
"""

import numpy as np

from mrs_pipeline.metrics.auc import user_auc
from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence


def _group_auc(evidence: Evidence, _k: int) -> float:
    values = user_auc(evidence)
    defined = ~np.isnan(values)
    if not defined.any():
        return float("nan")
    return float(np.average(values[defined], weights=evidence.relevant[defined]))


GAUC = Metric(
    name="gauc",
    title="Group AUC",
    formula="sum over users of n · AUC / sum over users of n; n relevant items of the user",
    source="Zhu et al.: Optimized cost per click in Taobao display advertising, KDD 2017; Zhou et al.: DIN, KDD 2018",
    overall=_group_auc,
    accuracy=True,
    cutoff=False,
    note="The papers weight by impressions; a full ranking shows everybody everything, so the relevant items weigh. "
    "The mean over users of `auc` is the version without weights.",
)
