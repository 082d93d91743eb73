"""Steps between users and items that are scaled by the receiver's degree alone (MMSSL, PromptMM)."""

from dataclasses import dataclass

import torch

from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs


@dataclass(frozen=True)
class HalfGraphs:
    """D_u^-1/2 R and D_i^-1/2 R' of the training pairs.

    Attributes:
        to_users: [U, I].
        to_items: [I, U].
    """

    to_users: SparseOperator
    to_items: SparseOperator

    @classmethod
    def of(cls, inputs: ModelInputs) -> "HalfGraphs":
        """From the training pairs; who has none gets zero."""

        def step(rows: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]) -> SparseOperator:
            degrees = torch.bincount(rows, minlength=shape[0]).float()
            return SparseOperator.from_csr(Csr.from_pairs(rows, columns, degrees[rows].rsqrt(), shape))

        users, items = inputs.users, inputs.items
        return cls(
            step(users, items, (inputs.n_users, inputs.n_items)),
            step(items, users, (inputs.n_items, inputs.n_users)),
        )
