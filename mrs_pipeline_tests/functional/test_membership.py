"""Who has taken what, against sets."""

import numpy as np
import torch

from mrs_pipeline.functional.membership import taken
from mrs_pipeline.functional.sparse import Csr


def test_against_a_dense_matrix():
    dense = torch.from_numpy((np.random.default_rng(0).random((6, 9)) < 0.3).astype(np.float32))
    users, items = torch.nonzero(dense).T
    history = Csr.from_pairs(users, items, torch.ones(len(users)), (6, 9))
    asked, columns = torch.tensor([5, 0, 5, 3]), torch.tensor([1, 4, 8])
    assert torch.equal(taken(history, asked, columns), dense[asked][:, columns] > 0)


def test_a_user_without_history_has_taken_nothing():
    nobody = torch.zeros(0, dtype=torch.int64)
    history = Csr.from_pairs(nobody, nobody, torch.zeros(0), (2, 3))
    assert not taken(history, torch.tensor([1]), torch.tensor([0, 2])).any()
