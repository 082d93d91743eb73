"""mrs_pipeline: multimodal recommender systems as a Dagster pipeline.

`from mrs_pipeline import Dataset, fit, evaluate, recommend, load` is the interface for notebooks (docs/python.md); what
stands behind it is loaded when one of these names is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrs_pipeline.api import Dataset, FittedModel, evaluate, fit, load, recommend

__version__ = "0.1.0"
__all__ = ["Dataset", "FittedModel", "__version__", "evaluate", "fit", "load", "recommend"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mrs_pipeline import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
