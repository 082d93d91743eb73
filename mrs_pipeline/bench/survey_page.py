"""The map of the survey: `docs/survey.md` and `mrs models --survey`.

Rows are those of `survey`; the file of a model, its deviations and its cells come from the model itself, figures from
`bench.published` and the benchmark's CSV file.
"""

import re
import sys
from dataclasses import dataclass

import polars as pl

from mrs_pipeline.bench.ledger import our_mean, runs_on
from mrs_pipeline.bench.page import markdown_template
from mrs_pipeline.bench.published import PUBLISHED
from mrs_pipeline.bench.verdicts import places
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.survey.encoders_and_domains import DOMAINS, SURVEY_ENCODERS
from mrs_pipeline.survey.rows import SurveyAnswer, System
from mrs_pipeline.survey.systems import SECTIONS, SYSTEMS
from mrs_pipeline.taxonomy import Cell


@dataclass(frozen=True)
class SurveySection:
    """Systems of one branch, as the page shows them.

    Attributes:
        title: of the branch.
        rows: cells as text, see `headers`.
    """

    title: str
    rows: list[list[str]]


HEADERS = (
    "system",
    "cells of the list",
    "domain",
    "answer",
    "formula test",
    "published code and difference",
    "figure",
)


def survey_page(results: pl.DataFrame) -> str:
    """The page as Markdown.

    Args:
        results: our runs, one row each, see `bench.models.results`; may be empty.
    """
    listed = {system.model for system in SYSTEMS if system.built}
    beside = [name for name in MODELS.own if name not in listed]
    return markdown_template("survey.md.j2").render(
        counts={str(answer): sum(each.answer is answer for each in SYSTEMS) for answer in SurveyAnswer},
        n_systems=len(SYSTEMS),
        headers=HEADERS,
        sections=[
            SurveySection(title, [_row(each, results) for each in section])
            for title, section in SECTIONS.items()
        ],
        beside=[[f"`{name}`", MODELS[name].spec.title, _cells(MODELS[name].spec.cells)] for name in beside],
        encoders=[
            [each.name, each.modality, ", ".join(f"`{name}`" for name in each.encoders), each.note]
            for each in SURVEY_ENCODERS
        ],
        domains=[[each.name, ", ".join(f"`{name}`" for name in each.layouts), each.note] for each in DOMAINS],
    )


def survey_frame() -> pl.DataFrame:
    """The systems with their answers, for a terminal."""
    return pl.DataFrame(
        {
            "system": [each.name for each in SYSTEMS],
            "venue": [each.venue for each in SYSTEMS],
            "cells": ["\n".join(sorted(each.cells)) for each in SYSTEMS],
            "answer": [answer_text(each) for each in SYSTEMS],
            "note": [each.note for each in SYSTEMS],
        }
    )


def answer_text(system: System) -> str:
    """The answer in a few words, with the model that it is about."""
    match system.answer:
        case SurveyAnswer.HERE:
            return f"here: {system.model}"
        case SurveyAnswer.STYLE:
            return f"here, -style: {system.model}"
        case SurveyAnswer.OPTION:
            return f"option of {system.model or 'training'}"
        case SurveyAnswer.NEAREST:
            return f"nearest: {system.model}"
        case SurveyAnswer.OUT:
            return "out of scope"


def deviation(model: str) -> str | None:
    """The first sentence of what a model's file says of its deviations or guesses."""
    text = " ".join((sys.modules[MODELS[model].__module__].__doc__ or "").split())
    found = re.search(r"(?:Deviations?|What is a guess)[^:]*: (.+?)(?:[.;] |\.$)", text)
    return found[1] if found else None


def model_file(model: str) -> str:
    """The file of a model, from the package's folder."""
    return "/".join(MODELS[model].__module__.split(".")[1:]) + ".py"


def formula_test(system: System) -> tuple[str, str]:
    """File and function of the formula test of a system that is here."""
    file, function = (system.test or "").split(":")
    return f"test_formulas{file}.py", function


def figures(model: str, results: pl.DataFrame) -> str:
    """The highest published recall@20 on each group of test rows that ours are too, and our own there."""
    told = []
    for rows in dict.fromkeys(each.rows for each in PUBLISHED if each.rows.ours):
        theirs = [each for each in PUBLISHED if each.rows == rows and each.model == model]
        own = our_mean(runs_on(results, rows).filter(model=model))
        if theirs:
            best = max(theirs, key=lambda each: each.recall)
            told.append(f"{rows.dataset}: {places(best.recall)} ({best.by}); ours {own or 'not run'}")
    return "<br>".join(told)


def _row(system: System, results: pl.DataFrame) -> list[str]:
    here = system.built
    answer = answer_text(system)
    if here:
        answer = answer.replace(f": {system.model}", f": [`{system.model}`](../mrs_pipeline/{_file(system)})")
    return [
        f"{system.name}, {system.venue}",
        _cells(system.cells),
        system.domain,
        " ".join(filter(None, (f"{answer}.", system.note))),
        f"`{':'.join(formula_test(system))}`" if here else "",
        _parity(system, here=here),
        figures(str(system.model), results) if here else "",
    ]


def _file(system: System) -> str:
    return model_file(str(system.model))


def _parity(system: System, *, here: bool) -> str:
    code = f"{system.code} (licence: {system.licence})" if system.code else "no public code"
    differs = deviation(str(system.model)) if here else None
    return f"{code}. {differs[0].upper()}{differs[1:]}." if differs else f"{code}."


def _cells(cells: frozenset[Cell]) -> str:
    return ", ".join(sorted(cell.value.split("/")[-1].replace("_", " ") for cell in cells))
