"""Latent structure of items: kNN graphs of raw and of learned features beside LightGCN (LATTICE, MICRO).

Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021. How the graphs of the modalities
become one vector of an item is said by the models.
"""

from typing import TypeVar

import torch
from pydantic import Field

from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, item_graphs, linked
from mrs_pipeline.models.layers.learned_graphs import EpochGraphs, LearnedNeighbours
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender, random_walk_operator


class LatentStructureConfig(ItemGraphConfig):
    """Settings of models with learned item graphs."""

    learning_rate: float = Field(default=5e-4, gt=0, le=1)
    """Adam's step size."""
    projection_size: int = Field(default=64, ge=1, le=4096)
    """Width of W_m x_m, where learned neighbours are looked for."""
    original_share: float = Field(default=0.9, ge=0, le=1)
    """Share of the raw features' graphs."""


LatentT_co = TypeVar("LatentT_co", bound=LatentStructureConfig, covariant=True)


class LatentStructureRecommender(LightGcnRecommender[LatentT_co]):
    """LightGCN over D^-1 (A + I), and item graphs that are built when an epoch starts.

    A subclass says what the graphs are (`structures`), from `originals`, the normalised kNN graphs of the raw
    features, and `neighbours`, those of the projected ones. `has` [I, M] says which modalities an item has.
    """

    def __init__(self, config: LatentT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator, random_walk_operator(inputs))
        raw = item_graphs(inputs, config.knn_k, self.spec.name)
        self.has = linked(raw)
        self.originals = {name: normalise_symmetric(graph) for name, graph in raw.items()}
        self.graphs = EpochGraphs(self.structures)
        self.neighbours = LearnedNeighbours(inputs, raw, config.projection_size, config.knn_k, generator)

    def structures(self) -> list[Csr]:
        """The graphs [I, I] of the parameters as they are."""
        raise NotImplementedError

    def start_epoch(self) -> None:
        """Builds the item graphs again."""
        self.graphs.renew()
