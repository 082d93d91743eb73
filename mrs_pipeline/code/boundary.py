"""Where a closure ends although the code goes on: what is chosen by name at run time."""

from typing import TypeVar

_T = TypeVar("_T")


def boundary(value: _T) -> _T:
    """`value` itself; a module's constant that is assigned `boundary(...)` is in no closure, nor is what it names.

    For registries: `MODELS = boundary({"bpr_mf": "mrs_pipeline.models.baselines.bpr_mf:BprMf", ...})`. A task uses one
    entry of many, so the entry that it uses is given to `closure` as a root of its own. Of `boundary(Registry(...))`
    the class counts. A registry without this mark counts as any constant does: a new entry makes every task due that
    reaches it.
    """
    return value
