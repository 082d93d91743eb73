"""The map of the survey: every system has an answer, and what an answer names is there."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.bench.survey_page import deviation, figures, formula_test, model_file, survey_page
from mrs_pipeline.encoders.registry import ENCODERS
from mrs_pipeline.ingest.layouts.registry import LAYOUTS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.survey.encoders_and_domains import DOMAINS, SURVEY_ENCODERS
from mrs_pipeline.survey.rows import SurveyAnswer, System
from mrs_pipeline.survey.systems import SYSTEMS
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline_tests.docs.test_architecture import ROOT, defined

TESTS = ROOT / "mrs_pipeline_tests" / "models"


def plain(title: str) -> str:
    """A title without what we add to it."""
    return re.sub(r" \(.*\)$|-style.*$", "", title).lower()


def parametrised(path: Path, function: str, model: str) -> bool:
    """Whether a test of that name is about the model: by its name, or by one of its cases."""
    text = path.read_text(encoding="utf-8")
    return f'"{model}"' in text or model.replace("_", "") in function.replace("_", "")


def flaws(system: System) -> list[str]:
    """What is wrong with a row."""
    found = []
    if not system.name or not system.venue or not system.domain or not system.cells:
        found.append("a part is empty")
    if system.model and system.model not in MODELS:
        found.append(f"no model {system.model}")
    if not system.built:
        needs_note = not system.note or (system.answer is SurveyAnswer.NEAREST and not system.model)
        return [*found, "the answer is not explained"] if needs_note else found
    if found:
        return found
    file, function = formula_test(system) if system.test else ("", "")
    path = TESTS / file
    if not path.is_file() or function not in defined(path) or not parametrised(path, function, system.model):
        found.append("no such formula test")
    cells = MODELS[system.model].spec.cells
    if not system.cells - system.without <= cells:
        found.append(f"not in {sorted(system.cells - system.without - cells)}")
    if system.without & cells or (system.without and not system.note):
        found.append("stands in a cell that the row denies, or does not say why not")
    styled = "-style" in MODELS[system.model].spec.title
    if styled != (system.answer is SurveyAnswer.STYLE):
        found.append("built from text alone and from code are mixed up")
    return found


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_system_has_a_true_answer(system):
    assert flaws(system) == []


def test_all_systems_of_the_list_are_there_once():
    assert len(SYSTEMS) == 60
    assert Counter(system.name for system in SYSTEMS).most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"venue": ""}, "a part is empty"),
        ({"model": "mmgcm"}, "no model mmgcm"),
        ({"test": "_user_item:test_nothing"}, "no such formula test"),
        ({"test": "_user_item:test_dualgnn"}, None),
        ({"test": "_filtration:test_mcln"}, "no such formula test"),
        ({"cells": frozenset({Cell.FILTRATION})}, "not in"),
        ({"without": frozenset({Cell.USER_ITEM_GRAPH})}, "denies"),
        ({"answer": SurveyAnswer.STYLE}, "mixed up"),
        ({"answer": SurveyAnswer.OUT}, "not explained"),
        ({"answer": SurveyAnswer.NEAREST, "note": "it is near", "model": None}, "not explained"),
    ],
)
def test_false_answers_are_found(change, flaw):
    found = flaws(replace(next(each for each in SYSTEMS if each.name == "MMGCN"), **change))
    assert found == [] if flaw is None else any(flaw in each for each in found)


def test_models_of_the_list_have_their_rows():
    rows = {plain(system.name): system.model for system in SYSTEMS}
    for name in MODELS.own:
        title = plain(MODELS[name].spec.title)
        assert rows.get(title, name) == name


def test_files_and_deviations_come_from_the_models():
    assert (ROOT / "mrs_pipeline" / model_file("mgat")).is_file()
    assert deviation("ease") == "none"
    assert deviation("mgat").startswith("the published code returns before its second layer")


def test_figures_are_the_highest_published_and_ours():
    runs = pl.DataFrame(
        {"dataset": "tiktok", "window": "full", "model": "mmssl", "recall@20": [0.05, 0.07], "stale": False}
    )
    assert figures("mmssl", runs).startswith(
        "tiktok: .0921 (MMSSL, README); ours .0600 ± .0141, 2 seeds<br>baby"
    )
    assert figures("hcgcn", runs) == ""


def test_encoders_and_layouts_are_registered():
    assert {name for each in SURVEY_ENCODERS for name in each.encoders} <= set(ENCODERS)
    assert {name for each in DOMAINS for name in each.layouts} <= set(LAYOUTS)
    assert all(each.note for each in (*SURVEY_ENCODERS, *DOMAINS))


def test_the_page_has_every_system_and_every_other_model():
    page = survey_page(pl.DataFrame())
    assert all(f"| {system.name}, {system.venue} |" in page for system in SYSTEMS)
    assert all(f"`{name}`" in page for name in MODELS.own)
    for link in re.findall(r"\]\(\.\./(mrs_pipeline/[^)]+)\)", page):
        assert (ROOT / link).is_file()
