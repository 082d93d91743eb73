"""All systems of the authors' list, in its order."""

from typing import Final

from mrs_pipeline.survey import bridges, fusions
from mrs_pipeline.survey.rows import System

SECTIONS: Final = {
    "User-item graph": bridges.USER_ITEM,
    "Item-item graph": bridges.ITEM_ITEM,
    "Knowledge graph": bridges.KNOWLEDGE_SYSTEMS,
    "Coarse attention": fusions.COARSE,
    "Fine attention": fusions.FINE,
    "Combined attention": fusions.COMBINED,
    "Other fusion": fusions.OTHER,
    "Filtration and robustness": fusions.FILTRATION,
}
"""Title -> systems."""

SYSTEMS: Final[tuple[System, ...]] = tuple(system for section in SECTIONS.values() for system in section)
"""The 60 systems."""
