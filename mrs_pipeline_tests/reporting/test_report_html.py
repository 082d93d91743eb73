import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.html import feature_page, report
from mrs_pipeline.reporting.index_page import DatasetEntry, index_page
from mrs_pipeline.reporting.inputs import (
    ExplainedList,
    FeaturePageInputs,
    ItemCard,
    ItemNeighbours,
    ModelCost,
    PageLinks,
    PlaceEvidence,
    ReportInputs,
    SampleUser,
)
from mrs_pipeline.reporting.leaderboard import leaderboard
from mrs_pipeline.reporting.thumbnails import thumbnail

VOID = {"meta", "img", "br", "wbr", "input", "link"}
ATTACK = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'>"


class Page(HTMLParser):
    """Tags in order, attributes, visible text; fails on tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.text, self.rows, self._open = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> without a start"
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open or "script" in self._open:
            return
        self.text.append(data)
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += " " + data.strip()

    def row(self, name):
        """Cells of the first row that holds `name` in its first two cells."""
        return next(row for row in self.rows if any(cell.strip().split(" ")[0] == name for cell in row[:2]))


@pytest.fixture(scope="module")
def full(full_inputs):
    return report(full_inputs)


def test_the_page_is_well_formed_and_its_ids_are_unique(full):
    page = Page(full)
    assert len(page.ids) == len(set(page.ids))
    anchors = [attrs["href"][1:] for tag, attrs in page.tags if tag == "a"]
    assert anchors
    assert set(anchors) <= set(page.ids)


def test_the_page_loads_nothing(full):
    page = Page(full)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            link = tag == "a" and re.fullmatch(r"(\.\./)*[\w/.-]+\.html", attrs.get(name) or "")
            assert attrs.get(name) is None or link or attrs[name].startswith(("#", "data:")), (tag, attrs)
    assert "http://" not in full
    assert "https://" not in full
    assert "@import" not in full
    assert not re.search(r"url\((?!#)", full)


def test_the_policy_allows_exactly_the_one_script(full):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', full)
    (script,) = re.findall(r"<script>(.*?)</script>", full, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy


def test_the_leaderboard_shows_the_numbers_of_the_frame(full, full_inputs):
    board = leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics)
    page = Page(full)
    for row in board.to_dicts():
        cells = " ".join(page.row(row["model"]))
        assert f"{row['recall@20']:.4f}" in cells
        assert f"{row['recall@20_ci_low']:.4f}–{row['recall@20_ci_high']:.4f}" in cells
        assert f"± {row['recall@20_spread']:.4f}, 2 seeds" in cells
        assert f"{row['cold_recall@20']:.4f}" in cells
    assert "leader" in " ".join(page.row(board["model"][0]))


def test_rows_carry_the_value_they_sort_by(full, full_inputs):
    board = leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics)
    keys = [attrs.get("data-sort") for tag, attrs in Page(full).tags if tag == "td"]
    assert str(board["recall@20"][0]) in keys


def test_a_long_name_of_a_leader_may_break_at_its_underscores_only(full_inputs):
    name = "end_to_<b>"
    frames = {
        frame: getattr(full_inputs, frame).with_columns(pl.col("model").replace("freedom", name))
        for frame in ("metrics", "runs", "history", "user_metrics")
    }
    html = report(replace(full_inputs, **frames))
    assert "<dd>end_<wbr>to_<wbr>&lt;b&gt;<small>" in html
    Page(html)


def test_one_epoch_is_one(full_inputs):
    once = pl.when(pl.col("model") == "ease").then(1).otherwise("epochs").cast(pl.Int64)
    page = Page(report(replace(full_inputs, runs=full_inputs.runs.with_columns(epochs=once))))
    costs = {row[0].strip(): " ".join(row) for row in page.rows if len(row) > 2 and "MB" in row[-2] + row[-3]}
    assert " 1 epoch" in costs["ease"] and "1 epochs" not in costs["ease"]
    assert "12 epochs" in costs["lightgcn"]


def test_all_sections_are_there(full):
    text = " ".join(Page(full).text)
    for words in (
        "full ranking; candidates=all items", "leads the 5 models", "Accuracy by model",
        "Accuracy and its price",
        "Warm and cold items", "Training", "Coverage of the taxonomy", "Interactions over time", "Long tail",
        "10,000", "of 10,500 rows read", "8.333 %", "duplicate", "4.57 %", "Blue scarf", "User u17", "0, 1",
        "2 of 3 checks passed", "At least 90 % of items.", "0123abcd", "2024-05-01 12:00 UTC", "d" * 12,
        "bridge: knowledge graph", "not covered", "1 of 3 checks did not pass: coverage.",
        '{"embedding_size": 64}',
    ):  # fmt: skip
        assert words in text, words
    assert "Walk-forward" not in text  # one window only


def test_one_model_and_nothing_else(bare_inputs):
    page = Page(report(bare_inputs))
    text = " ".join(page.text)
    assert "ease is the only model" in text
    for absent in (
        "Training",
        "Warm and cold",
        "Coverage of the taxonomy",
        "Interactions over time",
        "checks passed",
    ):
        assert absent not in text, absent
    assert "None" not in text
    assert not re.search(r"\bnan\b", text)


def test_beyond_accuracy_shows_direction_formula_and_breadth(full, full_inputs):
    page = Page(full)
    headings = next(row for row in page.rows if any("gini@20" in cell for cell in row))
    assert [cell.strip() for cell in headings] == [
        *("Model", "recall@20", "coverage@20 ↑", "gini@20 ↓", "novelty@20", "popularity@20"),
    ]
    assert "Catalogue coverage: different items in the first k places" in full
    assert "Accuracy and breadth" in full
    assert any(
        cell.strip() == "142.5" for row in page.rows for cell in row
    )  # popularity of most_pop, one digit
    accuracy = full_inputs.metrics.filter(pl.col("metric").is_in(["recall", "ndcg"]))
    assert "Beyond accuracy" not in report(replace(full_inputs, metrics=accuracy))


def test_one_user_is_shown_without_interval(full_inputs):
    metrics = full_inputs.metrics.with_columns(ci_low=None, ci_high=None, n_users=1)
    page = report(
        replace(
            full_inputs, metrics=metrics, user_metrics=full_inputs.user_metrics.filter(pl.col("user") == 0)
        )
    )
    shown = " ".join(Page(page).text)
    assert not re.search(r"\b(nan|None|inf)\b", shown)


def test_several_windows_lead_with_the_latest_and_walk_through_all(build_inputs):
    text = " ".join(
        Page(
            report(replace(build_inputs(windows=("2021", "2022", "2023")), history=pl.DataFrame(), data=()))
        ).text
    )
    assert "tested on window 2023" in text
    assert "Walk-forward" in text
    assert {"2021", "2022", "2023"} <= set(text.split())


def test_protocols_get_sections_of_their_own(full_inputs):
    full_inputs = replace(full_inputs, history=pl.DataFrame(), data=())
    easy = full_inputs.metrics.with_columns(
        protocol=pl.lit("easy"), dataset=pl.lit("demo"), window=pl.lit("other")
    )
    inputs = replace(full_inputs, metrics=pl.concat([full_inputs.metrics, easy]))
    html = report(inputs)
    assert html.count('class="protocol"') == 2
    assert "2 evaluation protocols" in html
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))


def test_models_of_older_data_are_named_and_shown_without_a_rank(full_inputs):
    full_inputs = replace(full_inputs, history=pl.DataFrame(), data=())
    old = full_inputs.metrics.with_columns(stale=pl.col("model").is_in(["freedom", "bm3"]))
    assert "older data" not in report(full_inputs)
    page = report(replace(full_inputs, metrics=old))
    assert "and therefore not ranked: " in page and "<code>" in page
    assert page.count("older data, not ranked") == 2
    assert "leads the 3 models" in page
    assert "<dd>3<small>300 users measured</small></dd>" in page


def test_a_board_of_older_data_alone_has_no_section(full_inputs):
    full_inputs = replace(full_inputs, history=pl.DataFrame(), data=())
    page = report(replace(full_inputs, metrics=full_inputs.metrics.with_columns(stale=pl.lit(value=True))))
    assert 'id="board0"' not in page and "and therefore not ranked: " in page


def test_numbers_of_different_data_are_not_ranked_as_one(full_inputs):
    digest = pl.when(pl.col("model") == "ease").then(pl.lit("e" * 32)).otherwise("data_digest")
    mixed = full_inputs.metrics.with_columns(data_digest=digest)
    with pytest.raises(InputError, match="2 versions of the data; mark those of older ones as stale"):
        report(replace(full_inputs, metrics=mixed))


def test_text_of_strangers_stays_text(full_inputs):
    rename = {"bm3": ATTACK}
    strange = replace(
        full_inputs,
        title=ATTACK,
        metrics=full_inputs.metrics.with_columns(pl.col("model").replace(rename), protocol=pl.lit(ATTACK)),
        runs=full_inputs.runs.with_columns(pl.col("model").replace(rename), config=pl.lit(ATTACK)),
        history=full_inputs.history.with_columns(
            pl.col("model").replace(rename), pl.col("term").replace({"bpr": ATTACK})
        ),
        user_metrics=full_inputs.user_metrics.with_columns(pl.col("model").replace(rename)),
        checks=full_inputs.checks.with_columns(description=pl.lit(ATTACK), name=pl.lit(ATTACK)),
        data=(
            replace(
                full_inputs.data[0],
                quarantine=pl.DataFrame({"reason": [ATTACK], "rows": [1]}),
                coverage=pl.DataFrame({"feature_set": [ATTACK], "present": [1], "missing": [1]}),
            ),
        ),
        samples=(SampleUser(ATTACK, ATTACK, (ItemCard(ATTACK, note=ATTACK),), (ItemCard(ATTACK),)),),
        provenance={ATTACK: ATTACK},
    )
    html = report(strange)
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert "".join(page.text).count("alert('x')") > 10


@pytest.mark.parametrize(
    "uri", ["https://example.org/a.png", "javascript:alert(1)", "data:image/svg+xml;base64,AAAA", "a.png"]
)
def test_a_picture_that_is_not_inline_is_refused(uri):
    with pytest.raises(InputError, match="no inline JPEG or PNG"):
        ItemCard("x", uri)


def test_pictures_are_inline_and_absent_ones_get_a_placeholder(full_inputs, tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (10, 10)).save(path)
    uri = thumbnail(path)
    sample = SampleUser("u", "bm3", (), (ItemCard("With", uri), ItemCard("Without"), ItemCard("")))
    page = Page(report(replace(full_inputs, samples=(sample,))))
    assert [attrs["src"] for tag, attrs in page.tags if tag == "img"] == [uri]
    assert "(no title)" in " ".join(page.text)
    assert "No history." in " ".join(page.text)


def test_no_metrics_is_refused():
    with pytest.raises(InputError, match="no metrics to report on"):
        report(ReportInputs("x", "now", pl.DataFrame()))


def test_the_page_is_a_function_of_its_inputs(full, full_inputs):
    assert report(full_inputs) == full


def test_feature_page_shows_coverage_neighbours_and_failures():
    inputs = FeaturePageInputs(
        dataset="demo", name="image_color", generated="now", present=75, missing=25,
        spectrum=np.array([5.0, 3.0, 1.0]), norms=np.linspace(0.5, 1.5, 75),
        neighbours=(ItemNeighbours(ItemCard("Red <b>scarf</b>"), (ItemCard("Blue scarf", note="0.91"),)),),
        facts={"Width": "128"}, failures=pl.DataFrame({"reason": ["truncated file"], "rows": [3]}),
    )  # fmt: skip
    html = feature_page(inputs)
    text = " ".join(Page(html).text)
    for words in (
        "75.0 %",
        "Blue scarf",
        "0.91",
        "128",
        "truncated file",
        "Spectrum",
        "Norms",
        "2 of 3 directions hold 90 %",
    ):
        assert words in text, words
    assert "<b>scarf" not in html


def test_feature_page_of_an_empty_set():
    text = " ".join(Page(feature_page(FeaturePageInputs("demo", "text_x", "now", 0, 0))).text)
    assert "0.0 %" in text
    assert "Spectrum" not in text


def test_the_headline_says_what_to_deploy(full, full_inputs, bare_inputs):
    head = full[: full.index("Leaderboard")]
    assert head.count("Deploy for ") == 2
    assert "<strong>bm3</strong>" in head and "<strong>freedom</strong>" in head
    assert "Not to be told apart from freedom" in head
    assert "Deploy for" not in report(bare_inputs)
    cold = pl.col("slice") == "cold"
    chance = full_inputs.metrics.with_columns(
        pl.when(cold).then(value).otherwise(name).alias(name)
        for name, value in (("value", 0.001), ("ci_low", 0.0), ("ci_high", 0.002))
    )
    assert "No model is shown to be better than chance." in report(replace(full_inputs, metrics=chance))


def test_costs_beside_training(full_inputs):
    costs = {"freedom": ModelCost(12.34, 90.0), "ease": ModelCost(0.5)}
    page = Page(report(replace(full_inputs, costs=costs)))
    rows = {row[0].strip(): " ".join(row) for row in page.rows if len(row) == 8}
    assert (
        "12.3 MB" in rows["freedom"]
        and "1 min 30 s" in rows["freedom"]
        and "12,345 parameters" in rows["freedom"]
    )
    assert "0.5 MB" in rows["ease"] and "1.00 ms" in rows["ease"]  # 0.3 s for 300 users


def test_the_stored_board_is_shown_and_nothing_is_ranked_again(full, full_inputs, monkeypatch):
    board = leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics)

    def refused(*_, **__):
        raise AssertionError("ranked again")

    monkeypatch.setattr("mrs_pipeline.reporting.html.leaderboard", refused)
    assert report(replace(full_inputs, board=board, user_metrics=())) == full
    with pytest.raises(AssertionError, match="ranked again"):
        report(full_inputs)


def test_passed_checks_are_folded_and_failed_ones_are_not(full):
    section = full[full.index('id="checks"') : full.index('id="provenance"')]
    shown, folded = section.split("<details>")
    assert "At least 90 % of items." in shown and "As many rows as items." not in shown
    assert "As many rows as items." in folded and "The 2 that passed" in folded


def test_splits_have_their_colour_and_order_by_name(build_inputs, full_inputs):
    data = full_inputs.data[0]
    turned = replace(data, splits=data.splits.reverse())
    for inputs in (full_inputs, replace(full_inputs, data=(turned,))):
        names = re.findall(r'<span class="split-(\w+)" style', report(inputs))
        assert names == ["train", "valid", "test"]


def test_closed_forms_have_no_training_panel(full_inputs):
    solved = full_inputs.history.filter(pl.col("model") == "lightgcn", pl.col("term") == "valid")
    solved = solved.filter(pl.col("epoch") == 1).with_columns(model=pl.lit("ease"))
    page = report(replace(full_inputs, history=pl.concat([full_inputs.history, solved])))
    curves = page[page.index("<h3>Training</h3>") : page.index("<figcaption>Over epochs.")]
    assert ">lightgcn<" in curves and ">ease<" not in curves
    assert "<h3>Training</h3>" not in report(replace(full_inputs, history=solved))


def test_two_lists_stand_beside_each_other(full_inputs):
    sample = SampleUser("u", "bm3", (), (ItemCard("Hat"),), "ease", (ItemCard("Glove", hit=True),))
    text = " ".join(" ".join(Page(report(replace(full_inputs, samples=(sample,)))).text).split())
    assert "bm3, which leads" in text and text.index("Hat") < text.index("Glove")


def test_the_gallery_shows_evidence_and_escapes_it(full_inputs, full):
    place = PlaceEvidence(
        ItemCard("Hat"), f"Hat scores 1. {ATTACK}", (("image", "+0.500", 1.0),), (("image", ItemCard("Cap")),)
    )
    page = Page(report(replace(full_inputs, gallery=(ExplainedList("u", "bm3", (place,)),))))
    text = " ".join(page.text)
    assert "What speaks for a recommendation" in text and "+0.500" in text and "Cap" in text
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "What speaks for a recommendation" not in full


def test_links_lead_to_other_pages(full_inputs):
    links = PageLinks(
        (("All reports", "../index.html"),), {"Studies": (("fusion", "experiments/full/fusion.html"),)}
    )
    page = Page(report(replace(full_inputs, links=links)))
    found = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert "../index.html" in found and "experiments/full/fusion.html" in found
    back = Page(feature_page(FeaturePageInputs("demo", "text_x", "now", 1, 0, links=links)))
    assert [attrs["href"] for tag, attrs in back.tags if tag == "a"] == ["../index.html"]


def test_colours_follow_the_page(full):
    """A colour of the palette that is written out in a plot would stay as it is in the dark."""
    figures = "".join(re.findall(r"<svg.*?</svg>", full, re.DOTALL))
    assert "var(--blue, #0072b2)" in figures and "var(--ink, #1f2933)" in figures
    assert not re.search(r": #(?:0072b2|1f2933|616e7c|cbd2d9|e4e7eb|ffffff|d55e00)", figures)
    used = set(re.findall(r"var\(--([a-z]+)[,)]", full))
    light, dark = (set(re.findall(r"--([a-z-]+):", part)) for part in _palettes(full))
    assert used - {"kind"} <= light  # which a class sets
    assert {"ink", "paper", "muted", "line", "blue", "baseline"} <= dark <= light


def _palettes(page):
    style = page[page.index(":root") :]
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")[:2]
    return light, dark[: dark.index("}")]


def test_print_keeps_colours_and_cuts_nothing(full):
    printed = full[full.index("@media print") :]
    assert "print-color-adjust: exact" in printed and ".scroll { overflow: visible" in printed
    assert "size: A4" in full
    assert not re.search(r"@media \(", full)  # rules of narrow screens are no rules of paper


def test_the_index_lists_windows_and_pages(build_inputs):
    inputs = build_inputs(windows=("2022", "2023"))
    board = leaderboard(inputs.metrics, inputs.runs, inputs.user_metrics)
    entry = DatasetEntry(
        "shop", board, "shop/report.html", {"Studies": (("fusion", "shop/experiments/2023/fusion.html"),)}
    )
    page = Page(index_page([entry], "now"))
    rows = [[cell.strip() for cell in row] for row in page.rows]
    assert [row[0] for row in rows[1:]] == ["2023", "2022"]
    assert rows[1][1] == board.filter(window="2023", rank=1)["model"][0]
    found = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert found == ["shop/report.html", "shop/experiments/2023/fusion.html"]
    assert "No dataset has been run yet" in index_page([], "now")
