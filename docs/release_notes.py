"""Prints the notes of a release, its section of CHANGELOG.md: `python docs/release_notes.py 0.2.0`."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """The lines below the heading of `version`, which may also hold a date, up to the next heading of its kind.

    Raises:
        ValueError: there is no such heading, or nothing below it.
    """
    heading = rf"^## {re.escape(version)}(?: [^\n]*)?\n"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        known = ", ".join(re.findall(r"^## (\S+)", changelog, re.MULTILINE))
        raise ValueError(f"CHANGELOG.md says nothing of {version}; it has {known}")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say which version: python docs/release_notes.py 0.2.0")
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
