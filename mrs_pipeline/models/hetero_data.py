"""A dataset's graph as Torch Geometric's `HeteroData`: users, items with their modalities, entities of the knowledge.

Nodes are `user`, `item` and `entity` (entities that are no item). Edges are `(user, took, item)` with `time` where
there is one, its reverse `(item, taken_by, user)`, and for relation r of the knowledge `(item, relation_r, entity)`,
likewise between entities and between items. An item has `x_<modality>` [I, F], zero where missing, and
`has_<modality>` [I].
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.inputs import ModelInputs

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

USER_NODE: Final = "user"
ITEM_NODE: Final = "item"
ENTITY_NODE: Final = "entity"
_COUNT: Final = "num_nodes"
_BETWEEN: Final = "|"


def graph_tensors(inputs: ModelInputs) -> dict[str, Tensor]:
    """The graph as named tensors: `item|x_image` of nodes, `user|took|item|edge_index` of edges."""
    pairs = torch.stack([inputs.users, inputs.items])
    tensors = {
        _name(USER_NODE, _COUNT): torch.tensor(inputs.n_users),
        _name(ITEM_NODE, _COUNT): torch.tensor(inputs.n_items),
        _name(USER_NODE, "took", ITEM_NODE, "edge_index"): pairs,
        _name(ITEM_NODE, "taken_by", USER_NODE, "edge_index"): pairs.flip(0).contiguous(),
    }
    if inputs.times is not None:
        tensors[_name(USER_NODE, "took", ITEM_NODE, "time")] = inputs.times
        tensors[_name(ITEM_NODE, "taken_by", USER_NODE, "time")] = inputs.times.clone()
    for modality, values in inputs.features.items():
        tensors[_name(ITEM_NODE, f"x_{modality}")] = values
        tensors[_name(ITEM_NODE, f"has_{modality}")] = inputs.present[modality]
    return tensors | _knowledge(inputs)


def hetero_data(tensors: Mapping[str, Tensor]) -> "HeteroData":
    """The `torch_geometric.data.HeteroData` of `graph_tensors`.

    Raises:
        InputError: Torch Geometric is not installed.
    """
    try:
        from torch_geometric.data import HeteroData
    except ImportError as error:
        raise InputError(
            "HeteroData needs Torch Geometric, which is not installed: pip install 'mrs-pipeline[pyg]'"
        ) from error
    graph = HeteroData()
    for name, tensor in tensors.items():
        *place, attribute = name.split(_BETWEEN)
        key = place[0] if len(place) == 1 else tuple(place)
        graph[key][attribute] = int(tensor) if attribute == _COUNT else tensor
    return graph


def _knowledge(inputs: ModelInputs) -> dict[str, Tensor]:
    """Triples, by relation and by what stands at their ends."""
    known, tensors = inputs.knowledge, {}
    if known is None:
        return {}
    n_items = inputs.n_items
    tensors[_name(ENTITY_NODE, _COUNT)] = torch.tensor(known.n_entities - n_items)
    kinds = ((ITEM_NODE, True), (ENTITY_NODE, False))
    for relation in range(known.n_relations):
        for head, head_is_item in kinds:
            for tail, tail_is_item in kinds:
                here = known.relations == relation
                here &= ((known.heads < n_items) == head_is_item) & ((known.tails < n_items) == tail_is_item)
                if not bool(here.any()):
                    continue
                heads = known.heads[here] - (0 if head_is_item else n_items)
                tails = known.tails[here] - (0 if tail_is_item else n_items)
                tensors[_name(head, f"relation_{relation}", tail, "edge_index")] = torch.stack([heads, tails])
    return tensors


def _name(*parts: str) -> str:
    return _BETWEEN.join(parts)
