"""DualGNN. Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation".

IEEE Transactions on Multimedia 2021, https://doi.org/10.1109/TMM.2021.3138298

Equation: for each modality m x = unit([P^m; f^m]) with users' preferences P^m and f^m = W_2 LeakyReLU(W_1 x^m + b_1)
+ b_2, and rep^m = x + A x + ... + A^L x on the normalised user-item graph; e_i = sum_m rep_i^m; z_u = sum_m w_um
rep_u^m with weights w_u that each user learns; e_u = z_u + sum_v s_uv z_v over the `user_k` users who share most
items with u, s the softmax of how many; y_ui = <e_u, e_i>; loss = -mean log2 sigmoid(y_ui - y_uj) + reg_weight *
(mean squares of the batch's users' rows of every P^m, mean square of w).

Deviations: a user with fewer neighbours has the softmax over those there are (published: neighbours drawn again at
random until there are enough, again in each epoch). Each modality's user view is its own: the published code adds the
second modality to the first in place before it weighs the two. Edges without some items' modality and weights of
items, which it prepares and never uses, are left out. An item that lacks a modality has a learned vector in place of
W_1 x + b_1. The graph of users is built from the training interactions, sparse and in blocks (published: a file that
must be made beforehand from a dense [U, U]). The paper's learning rate is not known; here 1e-3.

Complexity: O(M (E L D + I (F + D) H) + k U D) a step with H the hidden width, k = `user_k`; memory O(M N D + k U).
"""

from typing import ClassVar

import torch
from torch import Tensor

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.dyadic import DyadicConfig, DyadicRecommender
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class DualGnnConfig(DyadicConfig):
    """Settings of DualGNN."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-2, 1e-3, 1e-4),
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
    }


class DualGnn(DyadicRecommender[DualGnnConfig]):
    """Propagation a modality, then among users who share items; see the module."""

    spec = ModelSpec(
        name="dualgnn",
        title="DualGNN",
        paper="Wang et al., TMM 2021",
        url="https://doi.org/10.1109/TMM.2021.3138298",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="O(M (E L D + I (F + D) H) + k U D)",
        features=FeatureUse.REQUIRED,
        user_graph=True,
    )
    Config = DualGnnConfig

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users and what their neighbours add, items summed over modalities."""
        user_views, item_views = self.views()
        users = torch.stack(user_views).sum(0)
        return users + self._neighbours @ users, torch.stack(item_views).sum(0)
