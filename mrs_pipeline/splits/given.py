"""The split that the source itself brings, as published benchmarks do."""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import SPLIT, SPLIT_LABELS, TRAIN
from mrs_pipeline.splits.labels import TRAIN_LABEL, LabelArray


def given_split(given: Sequence[str | None] | None) -> LabelArray:
    """Turn the source's labels into positions in `schema.SPLITS`.

    Args:
        given: [E] `train`, `valid` or `test`; None where the source has no such column.

    Raises:
        InputError: a row has no label or an unknown one, or none is for training.
    """
    names = np.array([] if given is None else list(given), dtype=object)
    known = np.isin(names.astype(str), SPLIT_LABELS)
    if given is None or not known.any():
        raise InputError(
            f"split strategy given needs a column '{SPLIT}' in the interactions, and they have none: map it "
            "under source, or choose another strategy."
        )
    if not known.all():
        example = names[~known][0]
        raise InputError(
            f"split strategy given: {int((~known).sum())} of {len(names)} interactions have a '{SPLIT}' "
            f"that is none of {', '.join(SPLIT_LABELS)} (for example {example!r}); correct them in the source."
        )
    labels = np.select([names == name for name in SPLIT_LABELS], list(range(len(SPLIT_LABELS)))).astype(
        np.int8
    )
    if not (labels == TRAIN_LABEL).any():
        raise InputError(f"split strategy given: no interaction has '{SPLIT}' = {TRAIN}; correct the source.")
    return labels
