"""The axes of *Multimodal Recommender Systems: A Survey* (arXiv 2302.03883) as enumerations.

A model names the cells it belongs to in its `spec`; asset tags, the matrix of `mrs models --by-cell` and the
report's grouping all derive from here. No model is listed in this file.
"""

from enum import StrEnum


class Modality(StrEnum):
    """What an item is described by, beyond its identifier."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


class Axis(StrEnum):
    """The survey's technical branches in the order of its chain, after the unimodal baselines of every comparison."""

    BASELINE = "baseline"
    INTERACTION = "interaction"
    ENHANCEMENT = "enhancement"
    OPTIMISATION = "optimisation"


class Cell(StrEnum):
    """One leaf of the taxonomy. The value is `<axis>/<branch>...`, used verbatim as a tag and in tables."""

    BASELINE = "baseline/collaborative"
    USER_ITEM_GRAPH = "interaction/bridge/user_item_graph"
    ITEM_ITEM_GRAPH = "interaction/bridge/item_item_graph"
    KNOWLEDGE_GRAPH = "interaction/bridge/knowledge_graph"
    COARSE_ATTENTION = "interaction/fusion/coarse_attention"
    FINE_ATTENTION = "interaction/fusion/fine_attention"
    COMBINED_ATTENTION = "interaction/fusion/combined_attention"
    OTHER_FUSION = "interaction/fusion/other"
    FILTRATION = "interaction/filtration"
    DISENTANGLED = "enhancement/disentangled"
    CONTRASTIVE = "enhancement/contrastive"
    END_TO_END = "optimisation/end_to_end"
    TWO_STEP = "optimisation/two_step"

    @property
    def axis(self) -> Axis:
        """The branch this cell hangs on."""
        return Axis(self.value.split("/", 1)[0])

    @property
    def tag(self) -> str:
        """The cell as a Dagster tag key (tag keys may hold one slash)."""
        axis, _, rest = self.value.partition("/")
        return f"{axis}/{rest.replace('/', '.')}"
