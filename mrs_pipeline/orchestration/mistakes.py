"""Mistakes in a `defs.yaml` as sentences with file and line, whatever error they surfaced as while loading.

Which settings there are is declared in `dataset` and the rooms below it; other errors are not explained here.
"""

from pydantic import ValidationError

from mrs_pipeline.errors import MrsError, did_you_mean

_UNKNOWN = "extra_forbidden"
_WORDS = {_UNKNOWN: "there is no such key here", "missing": "this key is missing"}


def explain(error: BaseException) -> str | None:
    """The mistake behind an error, or behind what it was raised from; None if it is none of the user's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MrsError):
            return str(cause)
        if isinstance(cause, ValidationError):
            return "; ".join(_settings(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _settings(error: ValidationError) -> list[str]:
    """A clause a wrong value. Dagster has put the place into the location: `attributes.name at file:line`."""
    clauses = []
    for wrong in error.errors(include_url=False, include_input=False):
        key, _, place = ".".join(str(part) for part in wrong["loc"]).partition(" at ")
        key = key.removeprefix("attributes.")
        words = _WORDS.get(wrong["type"]) or wrong["msg"].removeprefix("Value error, ")
        if wrong["type"] == _UNKNOWN:
            words += _meant(key)
        clauses.append(": ".join(part for part in (place, key, words) if part))
    return clauses


def _meant(key: str) -> str:
    """The known key that is most like the wrong one."""
    from mrs_pipeline.orchestration.known_keys import known_keys

    place = key.split(".")
    return did_you_mean(place[-1], known_keys(place))
