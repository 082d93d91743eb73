"""Holding users out whole: strong generalisation, as it is called where models are asked about people they never saw.

Marlin, "Collaborative Filtering: A Machine Learning Perspective", 2004, chapter 3.
"""

import numpy as np

from mrs_pipeline.splits.labels import TRAIN_LABEL, VALID_LABEL, LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.types import IntArray


def without_users(labels: LabelArray, users: IntArray, options: SplitOptions) -> LabelArray:
    """[E] `labels` in which what a share of the users would train on validates; test rows stay.

    Args:
        labels: [E] positions in `schema.SPLITS`.
        users: [E] dense users.
        options: the share and the seed.
    """
    if not options.held_out_users or not len(users):
        return labels
    people = np.unique(users)
    drawn = np.random.default_rng([options.seed, 7]).permutation(people)
    out = np.isin(users, drawn[: round(options.held_out_users * len(people))])
    return np.where(out & (labels == TRAIN_LABEL), VALID_LABEL, labels).astype(labels.dtype)
