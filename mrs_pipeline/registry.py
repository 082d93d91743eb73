"""Registries: the named things of one kind that this package has and that installed packages add.

A registry knows names and where each thing is defined; nothing is imported before it is asked for. A package adds to
one with an entry point of the registry's group:

    [project.entry-points."mrs_pipeline.models"]
    recent_pop = "my_package.recent_pop:RecentPop"

What may be registered under a group is said where the registry is made (`models.registry`, `encoders.registry`, ...).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, TypeVar

from mrs_pipeline.errors import InputError, did_you_mean

PACKAGE: Final = "mrs-pipeline"
"""The distribution that this package itself belongs to."""
_NAMED_AT_MOST = 30
"""Names in a sentence; only of models there are more."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39})?")

Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Name -> thing, those of this package first, in the order given, then those of other packages by name.

    Iterating, counting and `in` import nothing; looking a name up imports its file.
    """

    def __init__(
        self,
        group: str,
        kind: str,
        own: Mapping[str, str],
        flaw: Callable[[str, object], str | None],
    ) -> None:
        """Remember where things are.

        Args:
            group: of entry points, such as `mrs_pipeline.models`.
            kind: what one of them is called in sentences.
            own: name -> `package.module:OBJECT` of what this package has.
            flaw: says of a name and what was found under it why it cannot be used, after "it"; None if it can.
        """
        self.group = group
        self.kind = kind
        self._own = own
        self._flaw = flaw
        self._loaded: dict[str, Thing] = {}

    def __getitem__(self, name: str) -> Thing:
        """The thing of that name.

        Raises:
            KeyError: there is none.
            InputError: a package registers something that cannot be imported or is of another kind.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(self._points[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def find(self, name: str) -> Thing:
        """The thing of that name; InputError lists the known names, or the first of them."""
        if name not in self:
            plural = "there are" if self.kind.endswith("ing") else f"the {self.kind}s are"
            shown = ", ".join(list(self)[:_NAMED_AT_MOST])
            more = (
                f" and {len(self) - _NAMED_AT_MOST} more, which `mrs {self.kind}s` lists"
                if len(self) > _NAMED_AT_MOST
                else ""
            )
            raise InputError(
                f"there is no {self.kind} '{name}'{did_you_mean(name, self)}; {plural} {shown}{more}"
            )
        return self[name]

    @property
    def own(self) -> tuple[str, ...]:
        """Names of what this package has, in their order."""
        return tuple(self._own)

    def distribution(self, name: str) -> str:
        """The installed package that registers `name`; KeyError if there is no such name."""
        return _distribution(self._points[name])

    def reference(self, name: str) -> str:
        """`package.module:OBJECT` of that name, without importing it; KeyError if there is no such name."""
        return self._points[name].value

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        points = {name: EntryPoint(name, place, self.group) for name, place in self._own.items()}
        for point in sorted(entry_points(group=self.group), key=lambda each: each.name):
            if not _NAME.fullmatch(point.name):
                raise InputError(
                    f"the package {_distribution(point)} registers a {self.kind} under '{point.name}'; names are "
                    "lower-case letters, digits and _, at most 40: correct its entry point, or uninstall it"
                )
            if point.name in points:
                raise InputError(
                    f"the {self.kind} '{point.name}' is registered by {_distribution(points[point.name])} and by "
                    f"{_distribution(point)}; rename the entry point of one of them, or uninstall one"
                )
            points[point.name] = point
        return points

    def _load(self, point: EntryPoint) -> Thing:
        """Import what a point refers to. What this package itself registers must load; its errors stay as they are."""
        if point.dist is None:
            return self._checked(point, point.load())
        try:
            found = point.load()
        except Exception as error:  # whatever a package of others does while it is imported
            raise InputError(
                f"the {self.kind} '{point.name}' of the package {_distribution(point)} cannot be loaded from "
                f"{point.value}: {type(error).__name__}: {error}; mend the package, or uninstall it"
            ) from error
        return self._checked(point, found)

    def _checked(self, point: EntryPoint, found: Thing) -> Thing:
        flaw = self._flaw(point.name, found)
        if flaw is not None:
            raise InputError(
                f"the {self.kind} '{point.name}' of the package {_distribution(point)} cannot be used: "
                f"{point.value} {flaw}"
            )
        return found


def class_flaw(found: object, base: type, *attributes: str) -> str | None:
    """What keeps `found` from being a class below `base` that has `attributes`; None if nothing does."""
    if not (isinstance(found, type) and issubclass(found, base)):
        return f"is no subclass of {base.__module__}.{base.__qualname__}"
    lacking = next((name for name in attributes if not hasattr(found, name)), None)
    return None if lacking is None else f"has no `{lacking}`"


def spec_flaw(name: str, found: object, base: type) -> str | None:
    """As `class_flaw`, for classes whose `spec` must give the name that they are registered under."""
    flaw = class_flaw(found, base, "spec", "Config")
    if flaw is not None:
        return flaw
    called = found.spec.name  # type: ignore[attr-defined]  # seen by the line above
    return None if called == name else f"calls itself '{called}' in its spec"


def _distribution(point: EntryPoint) -> str:
    return PACKAGE if point.dist is None else point.dist.name
