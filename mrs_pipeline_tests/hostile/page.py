"""Writes `docs/hostile.md`, every hostile input with its sentence: `python -m mrs_pipeline_tests.hostile.page`."""

import os
import re
import tempfile
from collections import Counter
from pathlib import Path

from mrs_pipeline_tests.hostile import ALL_CASES
from mrs_pipeline_tests.hostile.case import CANARY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hostile.md"
_LONGEST = 220
_INTRODUCTION = """\
# Hostile inputs

{total} inputs that are broken, absurd or meant to do harm: {counts}. Each ends in one sentence, none is executed
(what carries a command would leave a file behind, which is looked for), none needs more memory or time than its own
size. Pictures, sounds and clips cost the one item that they belong to: the reason is recorded in
`quality.failed_media`, and the run goes on.

The inputs are made by `mrs_pipeline_tests/hostile/`, which checks all of this; `pytest -s mrs_pipeline_tests/hostile`
prints the table as it is on your machine. This page is written by `python -m mrs_pipeline_tests.hostile.page`. Words in
brackets are those of the library that met the fault. `…` stands for the folder of the input.
"""


def main() -> None:
    """Write the page."""
    rows = []
    for case in ALL_CASES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            (Path(folder) / "input").mkdir()
            sentence = case.sentence(Path(folder) / "input").replace(folder, "…").replace("…/input", "…")
            assert not list(Path(folder).rglob(CANARY))
            os.chdir("/")
        rows.append(f"| {case.kind} | {cell(case.name)} | {cell(_short(sentence))} |")
    counts = ", ".join(f"{count} {kind}" for kind, count in Counter(case.kind for case in ALL_CASES).items())
    head = _INTRODUCTION.format(total=len(ALL_CASES), counts=counts)
    table = "\n".join(["| kind | input | what is said |", "|---|---|---|", *rows])
    PAGE.write_text(f"{head}\n{table}\n", encoding="utf-8")


def _short(sentence: str) -> str:
    line = re.sub(r"test_one_sentence\S*?/", "", sentence)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def cell(text: str) -> str:
    """A text in a cell of the table, taken literally."""
    safe = "".join(mark if mark.isprintable() else "�" for mark in text)
    return re.sub(r"([\\|<>*_`{}\[\]])", r"\\\1", safe)


if __name__ == "__main__":
    main()
