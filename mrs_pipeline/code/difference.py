"""What has changed between two closures, in words."""

from collections.abc import Mapping


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """What was changed, moved, added and removed, one part of a sentence each; empty where nothing was.

    Args:
        old: definitions of a closure then.
        new: definitions of a closure now.
    """
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    changed = [f"{words(key)} changed" for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]
    moved = _moved({key: old[key] for key in removed}, {key: new[key] for key in added})
    return (
        *changed,
        *(f"{words(key)} moved to {_place(to)}" for key, to in moved.items()),
        *(f"{words(key)} added" for key in added if key not in moved.values()),
        *(f"{words(key)} removed" for key in removed if key not in moved),
    )


def words(key: str) -> str:
    """A key of a closure for people: `rank in mrs_pipeline.functional.ranking`."""
    module, colon, name = key.partition(":")
    if not colon:
        return f"the file {key}"
    owner, _, of_type = name.partition(":")
    if name.startswith("<"):
        return f"the top-level code of {module}"
    return f"{'the type of ' if of_type else ''}{owner} in {module}"


def _place(key: str) -> str:
    return key.partition(":")[0]


def _moved(removed: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Old key -> new key of definitions that stand unchanged in another module."""
    there = {(key.partition(":")[2], digest): key for key, digest in added.items() if ":" in key}
    pairs = {key: there.get((key.partition(":")[2], digest)) for key, digest in removed.items()}
    return {key: to for key, to in pairs.items() if to is not None}
