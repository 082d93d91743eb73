"""What a model declares about itself, and what of the data it therefore needs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from mrs_pipeline.taxonomy import Cell

LINEAR: Final = "linear in users, items and training rows"
"""The memory of a model that makes no table of all pairs of items or of users."""


class FeatureUse(StrEnum):
    """What a model does with item features."""

    IGNORED = "ignored"
    OPTIONAL = "optional"
    REQUIRED = "required"


class BatchKind(StrEnum):
    """How training rows are drawn for a model; each kind has one source in `training.batches`."""

    PAIRS = "pairs"
    """One positive item and one negative, or several, for each training interaction."""
    USER_ROWS = "user_rows"
    """Users with all that they have taken."""
    SEQUENCES = "sequences"
    """Subsequences of users' histories in the order of time; each position's target is the item that came next."""
    NONE = "none"
    """Nothing is drawn: the model is solved in closed form."""


class Needs(Protocol):
    """What a spec says of the data that have to be there."""

    @property
    def features(self) -> FeatureUse:
        """Whether item features are ignored, used where they are, or needed."""
        ...

    @property
    def item_graph(self) -> bool:
        """Whether the modalities' kNN item graphs are needed."""
        ...

    @property
    def user_graph(self) -> bool:
        """Whether the graph of users who share items is needed."""
        ...

    @property
    def raw(self) -> FeatureUse:
        """Whether decoded raw content is ignored, used where it is, or needed."""
        ...

    @property
    def tokens(self) -> FeatureUse:
        """Whether regions and words are ignored, used where they are, or needed."""
        ...

    @property
    def knowledge(self) -> bool:
        """Whether a knowledge graph of the items is needed."""
        ...

    @property
    def pretraining(self) -> str | None:
        """The pretrainer whose item vectors are needed."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """What a model declares about itself; assets, tags, tables and checks are derived from it.

    Attributes:
        name: registry key and asset name, lower case.
        title: as the paper writes it.
        paper: authors, venue, year.
        url: where the paper is.
        cells: the taxonomy cells it belongs to.
        complexity: time of one training step or solution, in the shape letters of `types`.
        memory: what is held beside data and parameters while the model is built and trained; a model whose memory
            is not linear says so (`bench.complexity` measures it, and a test holds all models to it).
        clusters: whether something is learned for each cluster of content, so that features may not change under it.
        features: whether it ignores, may use or needs item features (of any set of modalities).
        item_graph: whether it needs the modalities' kNN item graphs.
        user_graph: whether it needs the graph of users who share items.
        pretraining: name of the pretrainer whose item vectors it starts from, if it is the second of two steps.
        knowledge: whether it needs a knowledge graph of the items.
        batches: how its training rows are drawn.
        raw: whether it ignores, may use or needs decoded raw content, on which it trains an encoder.
        tokens: whether it ignores, may use or needs regions of pictures and words of texts, to which it attends.
        histories: whether a user is nothing but what they took, so that the model, built with further users and given
            its trained weights, ranks for them as if it had known them.
        times: whether it reads when items were taken, where other models of histories read their order alone.
        pointed_at: whether content reaches an item only through items that have it among their neighbours; none has
            an item that joins a trained model.
    """

    name: str
    title: str
    paper: str
    url: str
    cells: frozenset[Cell]
    complexity: str
    features: FeatureUse = FeatureUse.IGNORED
    item_graph: bool = False
    user_graph: bool = False
    pretraining: str | None = None
    knowledge: bool = False
    batches: BatchKind = BatchKind.PAIRS
    raw: FeatureUse = FeatureUse.IGNORED
    tokens: FeatureUse = FeatureUse.IGNORED
    histories: bool = False
    memory: str = LINEAR
    clusters: bool = False
    times: bool = False
    pointed_at: bool = False

    @property
    def needs_content(self) -> bool:
        """Whether it looks at anything but interactions."""
        uses = (self.features, self.raw, self.tokens)
        others = (self.item_graph, self.user_graph, self.pretraining, self.knowledge)
        return any(use is not FeatureUse.IGNORED for use in uses) or any(others)


def unmet_need(needs: Needs, *, features: bool, knowledge: bool, raw: bool, tokens: bool) -> str | None:
    """What a spec asks for and the data have not, as a clause with its remedy; None where all is there.

    Args:
        needs: the spec.
        features: whether there are item features.
        knowledge: whether there is a knowledge graph.
        raw: whether there is decoded raw content.
        tokens: whether there are regions or words.
    """
    if needs.features is FeatureUse.REQUIRED and not features:
        return (
            "needs item features and the dataset has none; list a feature set under `features:` or choose a model "
            "that learns from interactions alone"
        )
    if needs.knowledge and not knowledge:
        return (
            "needs a knowledge graph and the dataset has none; add a `knowledge:` section that names attributes of "
            "the items or a file of triples, or leave the model out"
        )
    if needs.raw is FeatureUse.REQUIRED and not raw:
        return (
            "needs raw content, decoded pictures or tokens, and the dataset has none; list a modality under `raw:` "
            "or choose a model that works on extracted features"
        )
    if needs.tokens is FeatureUse.REQUIRED and not tokens:
        return (
            "needs regions of pictures or words of texts and the dataset has none; list a feature set with "
            "`pooling: none` under `features:`, or choose a model that works on one vector an item"
        )
    return None
