"""The graph of users who share items, from a window's training rows. Item graphs are in `features`."""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.functional.user_graph import user_graph
from mrs_pipeline.schema import TRAIN
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.graphs import write_graph
from mrs_pipeline.stored.training_data import interactions
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, SPLITS, USER_GRAPH
from mrs_pipeline.tasks.task import Outcome, Stage, Task


def build_user_graph(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """For each user those who share most training items with them."""
    graph = user_graph(interactions(stage, TRAIN), stage.config.user_graph_k)
    digest = write_graph(stage, USER_GRAPH, provenance, graph, {"user_graph_k": stage.config.user_graph_k})
    degrees = np.diff(graph.indptr)
    facts = {
        "users": graph.shape[0],
        "users with neighbours": int((degrees > 0).sum()),
        "edges": len(graph.indices),
        "mean degree": round(float(degrees.mean()), 2) if len(degrees) else 0.0,
        "users with all the neighbours asked for": int((degrees == stage.config.user_graph_k).sum()),
        "mean items shared": round(float(graph.weights.mean()), 3) if len(graph.weights) else 0.0,
        "most items shared": int(graph.weights.max(initial=0)),
    }
    return [Outcome(task.outputs[0], digest, facts)]


def user_graph_task(config: DatasetConfig) -> Task:
    """The task that makes the graph of users."""
    return Task(
        outputs=(USER_GRAPH,),
        inputs=(CORE_USERS, CORE_ITEMS, SPLITS),
        run=build_user_graph,
        settings={"user_graph_k": config.user_graph_k},
        group="features",
        description=(
            f"The {config.user_graph_k} users who share most training items with each user, weighed by how many; "
            "built sparse, in blocks."
        ),
        tags=("graph/users",),
        kinds=("graph",),
    )
