"""Objects by reference `package.module:OBJECT`: this package's own and those that installed packages bring.

Each registry says which group of entry points it reads. Nothing is imported before it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from mrs_pipeline.errors import InputError

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Reference:
    """Where an object is.

    Attributes:
        target: `package.module:OBJECT`.
        package: the installed package that brings it; empty for our own.
        version: that package's.
    """

    target: str
    package: str = ""
    version: str = ""

    @property
    def module(self) -> str:
        """The module's dotted name."""
        return self.target.partition(":")[0]

    @property
    def origin(self) -> str:
        """Who brings it, for messages."""
        return f"package {self.package}" if self.package else "mrs_pipeline"


def installed(group: str) -> Sequence[Reference]:
    """What installed packages offer under a group of entry points, in the order of their packages and names."""
    points = entry_points(group=group)
    return sorted(
        (
            Reference(point.value, *((point.dist.name, point.dist.version) if point.dist else (point.name,)))
            for point in points
        ),
        key=lambda reference: (reference.package, reference.target),
    )


def load(reference: Reference, kind: type[Loaded]) -> Loaded:
    """The object at `reference`.

    Raises:
        InputError: the module cannot be imported, has no such object, or it is not of `kind`.
    """
    name = reference.target.partition(":")[2]
    try:
        found = getattr(import_module(reference.module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{reference.origin} names {reference.target}, which cannot be loaded ({error}); mend or uninstall it"
        ) from error
    if not isinstance(found, kind):
        raise InputError(
            f"{reference.origin} names {reference.target}, which is no {kind.__name__}; mend or uninstall it"
        )
    return found
