"""A ranking small enough to check by hand: for the examples in docstrings, and for tests of metrics of one's own."""

import numpy as np

from mrs_pipeline.metrics.evidence import Attribute, Background, Evidence, Grouped, ItemFacts
from mrs_pipeline.types import FeatureMatrix, Interactions


def two_users() -> Evidence:
    """Two test users and five items, of which three users have had 0, 1 and 2 in training.

    | user | had | ranked, best first | relevant | places |
    |---|---|---|---|---|
    | 0 | 0, 1 | 2, 3, 4 | 2, 4 | 1, 3 |
    | 1 | 0 | 1, 3, 2, 4 | 3 | 2 |
    | 2 | 0, 2 | is not tested | | |

    Items 0, 1, 2 have 3, 1, 1 training users. Features of items 0 and 1 are (1, 0), of 2 and 3 (0, 1), of 4 (1, 1);
    items 0 and 1 are records, the others books. Lists hold three items.

    >>> evidence = two_users()
    >>> evidence.lists
    array([[2, 3, 4],
           [1, 3, 2]], dtype=int32)
    >>> evidence.found(2), evidence.relevant
    (array([1., 1.]), array([2, 1]))
    """
    train = Interactions(
        users=np.array([0, 0, 1, 2, 2]), items=np.array([0, 1, 0, 0, 2]), n_users=3, n_items=5
    )
    values = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]], np.float32)
    features = {"image": FeatureMatrix(values, np.ones(5, np.bool_), "image_example")}
    kind = Attribute("kind", Grouped(np.arange(6), np.array([0, 0, 1, 1, 1])), n_values=2)
    return Evidence(
        users=np.array([0, 1]),
        ranks=np.array([1, 3, 2]),
        rows=np.array([0, 0, 1]),
        items=np.array([2, 4, 3]),
        candidates=np.array([3, 4]),
        catalogue=5,
        background=Background(train, ItemFacts(features, kind)),
        lists=np.array([[2, 3, 4], [1, 3, 2]], np.int32),
    )
