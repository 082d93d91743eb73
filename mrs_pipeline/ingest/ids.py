"""Identifiers as SQL: what counts as no identifier, and the spellings that a dataset wants to be one.

Only blank and null-like texts are judged without being asked (they name nobody). Everything that could make two
identifiers one is an option, and `identities` counts what each option would do.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from mrs_pipeline.ingest.sql import quoted_text

_BLANK: Final = r"[\s\p{Z}\p{Cf}\x00-\x1F]"
"""White space of any script, and the characters that print nothing."""

SPELLINGS: Final[Mapping[str, str]] = {
    "unicode": "letters composed in another way (Unicode form)",
    "strip": "blanks around them",
    "lower": "capital letters",
    "integers": "a trailing .0",
    "zeros": "leading zeros",
}
"""Option -> what two identifiers that it makes one differ in, in the order in which they are applied."""


class IdOptions(BaseModel):
    """Which spellings of an identifier mean the same. Off unless asked for: nothing is merged silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    strip: bool = False
    """Leave out blanks before and after, of any script."""
    unicode: bool = False
    """Compose letters and accents alike (NFC)."""
    lower: bool = False
    """Take capital letters as small ones."""
    integers: bool = False
    """Take `12.0` as `12`."""
    zeros: bool = False
    """Take `0012` as `12`, in identifiers of digits alone."""
    missing: tuple[str, ...] = ("nan", "none", "null", "nil", "n/a", "#n/a", "<na>", "nat", "\\n")
    """Texts that mean no identifier, whatever their case; `[]` where they are names like any other. Blank ones always
    mean none."""

    @property
    def merging(self) -> tuple[str, ...]:
        """The options that are on, in the order in which they are applied."""
        return tuple(name for name in SPELLINGS if getattr(self, name))


LITERAL: Final = IdOptions(missing=())
"""Takes every text that is not blank as it stands."""


def respelled(sql: str, option: str) -> str:
    """SQL of a VARCHAR as one option spells it."""
    match option:
        case "unicode":
            return f"nfc_normalize({sql})"
        case "strip":
            return f"regexp_replace({sql}, '^{_BLANK}+|{_BLANK}+$', '', 'g')"
        case "lower":
            return f"lower({sql})"
        case "integers":
            return rf"regexp_replace({sql}, '^([+-]?[0-9]+)[.]0+$', '\1')"
        case "zeros":
            return rf"regexp_replace({sql}, '^0+([0-9]+)$', '\1')"
    raise ValueError(f"no option is called {option}")


def cleaned(sql: str, ids: IdOptions) -> str:
    """SQL of a VARCHAR as a dataset's options spell it, NULL where it names nobody."""
    for option in ids.merging:
        sql = respelled(sql, option)
    nobody = f"regexp_full_match({sql}, '{_BLANK}*')"
    if ids.missing:
        words = ", ".join(quoted_text(word.lower()) for word in ids.missing)
        nobody += f" OR lower(trim({sql})) IN ({words})"
    return f"CASE WHEN {nobody} THEN NULL ELSE {sql} END"
