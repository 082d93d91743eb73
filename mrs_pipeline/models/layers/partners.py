"""Who shares most: users joined by the items that both have taken, or items by the users of both."""

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.functional.user_graph import user_graph
from mrs_pipeline.types import Interactions


def partners(rows: Tensor, columns: Tensor, shape: tuple[int, int], k: int) -> Csr:
    """For each row the k others that share most columns with it, [rows, rows]; weights are how many.

    Time goes with the pairs that share anything, never with the square of the rows.

    Args:
        rows: [E] int64.
        columns: [E] int64; each pair once.
        shape: (rows, columns).
        k: most partners of a row; ties by number.

    >>> graph = partners(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1]), (3, 2), 5)
    >>> graph.row_numbers(), graph.indices.long(), graph.weights
    (tensor([0, 1, 1, 2]), tensor([1, 0, 2, 1]), tensor([1., 1., 1., 1.]))
    """
    shared = user_graph(Interactions(rows.cpu().numpy(), columns.cpu().numpy(), *shape), k)
    parts = (shared.indptr, shared.indices, shared.weights)
    indptr, indices, counts = (torch.from_numpy(part).to(rows.device) for part in parts)
    return Csr(indptr, indices, counts.float(), shared.shape)
