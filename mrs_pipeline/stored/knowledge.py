"""The stored knowledge graph of a window, as models take it. How it is built is `stages.knowledge`."""

import numpy as np
import polars as pl

from mrs_pipeline.tasks.node import CORE_ITEMS, KNOWLEDGE_GRAPH
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import IntArray, KnowledgeGraph


def read_knowledge(stage: Stage) -> KnowledgeGraph:
    """The materialised graph."""
    triples = stage.lake.read(table_of(stage, KNOWLEDGE_GRAPH))
    items = stage.lake.read(table_of(stage, CORE_ITEMS))["item_id"].to_list()
    ends = pl.concat(
        [
            triples.select(entity="head", name="head_name"),
            triples.select(entity="tail", name="tail_name"),
        ]
    )
    others = ends.filter(pl.col("entity") >= len(items)).unique().sort("entity")
    relations = triples.select("relation", "relation_name").unique().sort("relation")
    heads, numbers, tails = (as_integers(triples[name]) for name in ("head", "relation", "tail"))
    return KnowledgeGraph(
        heads=heads,
        relations=numbers,
        tails=tails,
        n_entities=len(items) + others.height,
        n_relations=relations.height,
        entity_names=(*items, *others["name"]),
        relation_names=tuple(relations["relation_name"]),
    )


def as_integers(column: pl.Series) -> IntArray:
    """[N] int64 values of a column without nulls."""
    return np.asarray(column.to_numpy(), dtype=np.int64)
