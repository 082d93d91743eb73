"""Frozen dataclasses that travel between packages. Arrays are NumPy; models turn them into tensors.

Shape letters, used everywhere: `U` users, `I` items, `N = U + I` nodes, `E` edges (interactions), `B` batch,
`K` list length, `D` embedding, `F` raw feature width, `M` modalities, `L` layers,
`T` triples of a knowledge graph, `R` its relations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """User-item pairs by dense number, sorted by (user, time where known, item).

    Attributes:
        users: [E] int64 in 0..n_users-1.
        items: [E] int64 in 0..n_items-1.
        n_users: U, also counting users without a row here.
        n_items: I, also counting items without a row here.
        times: [E] int64 seconds since 1970 (UTC), or None where the source has no time.
    """

    users: IntArray
    items: IntArray
    n_users: int
    n_items: int
    times: IntArray | None = None

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class FeatureMatrix:
    """One feature set, row i = item i. A missing row is zero in `values` and False in `present`.

    Attributes:
        values: [I, F] float16 or float32, may be a memory map.
        present: [I] bool.
        name: `<modality>_<encoder>`, for messages.
    """

    values: npt.NDArray[np.floating]
    present: BoolArray
    name: str = ""


@dataclass(frozen=True)
class TokenShape:
    """What a token set keeps of an item.

    Attributes:
        count: T, tokens of an item at the most.
        width: D, numbers of a token.
        grid: rows and columns that the tokens of a picture stand in, row by row; None where they are a sequence.
    """

    count: int
    width: int
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenMatrix:
    """Tokens of one modality: regions of pictures, words of texts. Row i = item i.

    Attributes:
        values: [I, T, D] float16 or float32, may be a memory map. A token of zeros is none: a text has fewer than T.
            Rows that are not present may hold anything.
        present: [I] bool.
        name: `<modality>_<encoder>`, for messages.
        grid: rows and columns that the tokens of a picture stand in, row by row; None where they are a sequence.
    """

    values: npt.NDArray[np.floating]
    present: BoolArray
    name: str = ""
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class PretrainedNetwork:
    """A network of the `transformers` library as data, so that whoever builds it need not open a file.

    Attributes:
        config: its configuration as a dictionary, `model_type` among it.
        weights: name in the state dict -> values.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RawContent:
    """Decoded content of one modality, for models that train an encoder; row i = item i.

    Attributes:
        values: pictures [I, 3, H, W] uint8, or texts [I, T] int32 token numbers, -1 after the end; may be a
            memory map. Rows that are not present may hold anything.
        present: [I] bool.
        name: for messages.
        vocabulary: how many different tokens there can be; 0 for pictures.
        mean: subtracted from each colour channel, in units of 0..1.
        std: by which it is divided then.
        network: the encoder to start from; None for a small one from scratch.
    """

    values: npt.NDArray[np.integer]
    present: BoolArray
    name: str = ""
    vocabulary: int = 0
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    network: PretrainedNetwork | None = None


@dataclass(frozen=True)
class SparseGraph:
    """A weighted graph in compressed sparse rows.

    Attributes:
        indptr: [rows + 1] int32.
        indices: [nnz] int32 column numbers.
        weights: [nnz] float32.
        shape: (rows, columns).
    """

    indptr: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    weights: FloatArray
    shape: tuple[int, int]


@dataclass(frozen=True)
class KnowledgeGraph:
    """What is known of the items and of what they are connected with, as triples (head, relation, tail).

    Attributes:
        heads: [T] int64 entities; the items are entities 0..I-1.
        relations: [T] int64 in 0..n_relations-1.
        tails: [T] int64 entities.
        n_entities: items included.
        n_relations: R.
        entity_names: one an entity, for reports; an item's is its `item_id`.
        relation_names: one a relation.
    """

    heads: IntArray
    relations: IntArray
    tails: IntArray
    n_entities: int
    n_relations: int
    entity_names: tuple[str, ...] = ()
    relation_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.heads)


@dataclass(frozen=True)
class TrainingData:
    """All that fitting and selection may see. By construction it cannot hold a test row.

    Attributes:
        train: interactions to learn from.
        valid: held-out interactions that choose epochs and hyper-parameters.
        features: modality ("text", "image", ...) -> feature matrix; may be empty.
        item_graphs: modality -> kNN item graph [I, I] of that modality's features (cosine weights, the k
            nearest of a row, the item itself among them; rows and columns of missing items are empty).
        user_graph: the users [U, U] who share most training items with each user, weights how many; None where
            nobody has asked for it.
        pretrained: what a pretraining made of interactions and features: `<pretrainer>`, or
            `<pretrainer>/<part>` where it makes several, -> item vectors [I, D] float32, or user vectors [U, D] where
            the part is called `users` or `users_...` (`vectors_of_users`).
        knowledge: what is known of the items, or None.
        raw: modality -> decoded content, for models that train their encoder; may be empty.
        tokens: modality -> regions or words, for models that attend to them; may be empty.
        candidates: [I] bool items that are ranked when models are chosen and measured; None for all.
    """

    train: Interactions
    valid: Interactions
    features: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    item_graphs: Mapping[str, SparseGraph] = field(default_factory=dict)
    user_graph: SparseGraph | None = None
    pretrained: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    knowledge: KnowledgeGraph | None = None
    raw: Mapping[str, RawContent] = field(default_factory=dict)
    tokens: Mapping[str, TokenMatrix] = field(default_factory=dict)
    candidates: BoolArray | None = None

    @property
    def users_trained(self) -> BoolArray:
        """[U] users with a training row."""
        return np.bincount(self.train.users, minlength=self.train.n_users) > 0

    def pretrained_by(self, pretrainer: str) -> dict[str, FeatureMatrix]:
        """The part of `pretrained` that the pretrainer of that name has made."""
        return {key: each for key, each in self.pretrained.items() if key.partition("/")[0] == pretrainer}


def vectors_of_users(key: str) -> bool:
    """Whether the pretrained vectors of that key are of users; the others are of items.

    >>> [vectors_of_users(key) for key in ("pmgt", "factors/items", "factors/users", "promptmm/users_image")]
    [False, False, True, True]
    """
    return key.partition("/")[2].partition("_")[0] == "users"


@dataclass(frozen=True)
class TopK:
    """Ranked lists, best first.

    Attributes:
        users: [B] int64 dense users.
        items: [B, K] int64 dense items; -1 where fewer than K candidates were left.
        scores: [B, K] float32; -inf where `items` is -1.
    """

    users: IntArray
    items: IntArray
    scores: FloatArray
