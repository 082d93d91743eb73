"""FastMMRec-style wrapper: graph convolution when scoring only, none in training.

After Xu et al., "The Best is Yet to Come: Graph Convolution in the Testing Phase for Multimodal Recommendation",
MM 2025. https://arxiv.org/abs/2507.18489

Equation: in a step every graph S of the backbone is the identity, so that LightGCN(E) = E and an item graph gives
back what it is given; when scoring the backbone is itself: LightGCN over `n_layers` of its own settings, item graphs
over its `n_item_layers`. As the parameters do not depend on them, both can be chosen on validation after one training.

Deviations: written from the paper's abstract: that graphs are left to the testing phase is the paper's, the rest is
ours. The paper builds a model; here a backbone is wrapped whose graphs are all square. `lightgode` is another way to
the same end, whose code is known.

Complexity: the backbone's step without its products with graphs, O(B D) for LightGCN, plus Adam's O((U + I) D).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.kernels.sparse_products import IDENTITY, SparseOperator
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.models.wrapper import WrapperConfig, WrappingRecommender
from mrs_pipeline.taxonomy import Cell

_Place = tuple[torch.nn.Module, str]


class FastMmRecConfig(WrapperConfig):
    """Settings of FastMMRec-style."""

    search_space: ClassVar[SearchSpace] = {"learning_rate": (1e-2, 1e-3, 3e-4)}

    backbone: str = "freedom"
    """Name of the model that is wrapped: one on LightGCN's propagation all of whose graphs are square."""


class FastMmRec(WrappingRecommender[FastMmRecConfig]):
    """A backbone that is trained without its graphs; see the module."""

    spec = ModelSpec(
        name="fastmmrec",
        title="FastMMRec-style",
        paper="after Xu et al., MM 2025",
        url="https://arxiv.org/abs/2507.18489",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH}),
        complexity="backbone - its products with graphs",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = FastMmRecConfig

    def __init__(self, config: FastMmRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._graphs = _graphs_of(self.backbone)
        if not self._graphs:
            raise InputError(
                f"model '{self.spec.name}' cannot wrap '{config.backbone}', which has graphs that are not square or "
                "are built anew in training; take lightgcn, freedom, bm3 or another whose graphs are fixed"
            )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """The backbone's, each graph the identity."""
        with _without_graphs(self._graphs):
            return self.backbone.loss(batch)


def _graphs_of(model: torch.nn.Module) -> list[_Place]:
    """Where a model holds its graphs; none if one of them is not square."""
    places = [
        (module, name)
        for module in model.modules()
        for name, value in vars(module).items()
        if isinstance(value, SparseOperator)
    ]
    square = all(len(set(vars(module)[name].matrix.shape)) == 1 for module, name in places)
    return places if square else []


@contextmanager
def _without_graphs(places: list[_Place]) -> Iterator[None]:
    held = [vars(module)[name] for module, name in places]
    for module, name in places:
        vars(module)[name] = IDENTITY
    try:
        yield
    finally:
        for (module, name), operator in zip(places, held, strict=True):
            vars(module)[name] = operator
