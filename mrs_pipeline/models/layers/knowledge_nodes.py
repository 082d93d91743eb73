"""What models over a knowledge graph share: its triples beside the interactions, and tables for its nodes."""

import torch
from torch import Tensor, nn

from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.knowledge import KnowledgeTensors
from mrs_pipeline.models.layers.parameters import embedding

TripleParts = tuple[Tensor, Tensor, Tensor, int]
"""Heads [T], relations [T], tails [T], number of relations."""


def interaction_triples(inputs: ModelInputs) -> TripleParts:
    """(user, took, item) over nodes in which the items follow the users."""
    took = torch.zeros_like(inputs.users)
    return inputs.users, took, inputs.n_users + inputs.items, 1


def item_triples(inputs: ModelInputs) -> TripleParts:
    """What is known, over entities of which the items come first."""
    knowledge = known(inputs)
    return knowledge.heads, knowledge.relations, knowledge.tails, knowledge.n_relations


def known(inputs: ModelInputs) -> KnowledgeTensors:
    """The knowledge graph of a model that `Recommender` has let pass."""
    assert inputs.knowledge is not None
    return inputs.knowledge


def entity_tables(
    inputs: ModelInputs, size: int, generator: torch.Generator
) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    """Embeddings of users [U, D], items [I, D] and other entities; rows that nothing names are zero."""
    named, n_items = known(inputs).named(), inputs.n_items
    return (
        embedding(inputs.users_seen(), size, generator),
        embedding(inputs.items_seen() | named[:n_items], size, generator),
        embedding(named[n_items:], size, generator),
    )
