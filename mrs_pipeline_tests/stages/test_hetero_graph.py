"""The graph of a window as a file, read back as HeteroData, against the training data it is made of."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.hetero_data import graph_tensors, hetero_data
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stored.hetero_graph import read_hetero_graph, write_hetero_graph
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline_tests.models.small import DATA, KNOWLEDGE, N_ITEMS, N_USERS, PAIRS
from mrs_pipeline_tests.stages.working import perform, stage_of

pytest.importorskip("torch_geometric")
SETTINGS = {"source": {"reader": "demo", "demo": {"users": 60, "items": 50}}, "models": {"most_pop": None}}


def test_all_that_models_see_is_in_it():
    graph = hetero_data(graph_tensors(ModelInputs.from_data(DATA)))
    graph.validate()
    assert (graph["user"].num_nodes, graph["item"].num_nodes, graph["entity"].num_nodes) == (5, 6, 5)
    assert graph["user", "took", "item"].edge_index.T.tolist() == PAIRS[np.lexsort(PAIRS.T[::-1])].tolist()
    back = graph["item", "taken_by", "user"].edge_index.flip(0)
    assert torch.equal(back, graph["user", "took", "item"].edge_index)
    for name, matrix in DATA.features.items():
        assert np.array_equal(graph["item"][f"x_{name}"].numpy(), matrix.values)
        assert graph["item"][f"has_{name}"].tolist() == matrix.present.tolist()
    triples = set()
    for head, relation, tail in graph.edge_types:
        if relation.startswith("relation_"):
            ends = graph[head, relation, tail].edge_index + torch.tensor(
                [[N_ITEMS * (head == "entity")], [N_ITEMS * (tail == "entity")]]
            )
            triples |= {(int(one), int(relation.rpartition("_")[2]), int(other)) for one, other in ends.T}
    wanted = zip(KNOWLEDGE.heads, KNOWLEDGE.relations, KNOWLEDGE.tails, strict=True)
    assert triples == {tuple(map(int, triple)) for triple in wanted}


def test_a_library_model_takes_it():
    from torch_geometric.nn import SAGEConv, to_hetero

    graph = hetero_data(graph_tensors(ModelInputs.from_data(DATA)))
    graph["user"].x, graph["item"].x = torch.eye(N_USERS), graph["item"].x_image
    graph = graph.node_type_subgraph(["user", "item"])

    class One(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = SAGEConv((-1, -1), 3)

        def forward(self, x, edge_index):
            return self.conv(x, edge_index)

    found = to_hetero(One(), graph.metadata())(graph.x_dict, graph.edge_index_dict)
    assert found["user"].shape == (N_USERS, 3) and found["item"].shape == (N_ITEMS, 3)


def test_a_window_is_written_and_read(tmp_path):
    stage = stage_of(tmp_path / "home", **SETTINGS)
    with pytest.raises(InputError, match="has no core/users at window .*; `mrs run"):
        write_hetero_graph(stage, tmp_path / "graph.safetensors")
    perform(stage)
    shapes = write_hetero_graph(stage, tmp_path / "graph.safetensors")
    graph = read_hetero_graph(tmp_path / "graph.safetensors")
    rows = training_data(stage, MODELS["most_pop"].spec).train
    pairs = np.unique(rows.users * rows.n_items + rows.items)
    edges = graph["user", "took", "item"].edge_index.numpy()
    assert np.array_equal(edges[0] * rows.n_items + edges[1], pairs)
    assert shapes["user|took|item|edge_index"] == [2, len(pairs)]
    with pytest.raises(InputError, match="is there already"):
        write_hetero_graph(stage, tmp_path / "graph.safetensors")
