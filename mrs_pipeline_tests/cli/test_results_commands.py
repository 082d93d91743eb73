"""What is read from a finished run: `leaderboard`, `recommend`, `lineage`, `query`; and `datasets`, `models`."""

import csv
import hashlib
import io
import json
import re

import pytest

from mrs_pipeline.orchestration.launch import load_project
from mrs_pipeline.stages.report import report_inputs
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.cli.shops import N_ROWS, Mrs, add_shop

BELOW_THE_REPORT = ("raw", "core", "features", "trained", "final", "recommendations", "metrics", "eval")


def rows(mrs: Mrs, sql: str) -> list[dict[str, str]]:
    told = mrs("query", "--csv", sql)
    assert told.code == 0, told.err
    return list(csv.DictReader(io.StringIO(told.out)))


def test_leaderboard_shows_every_model_with_its_interval(finished: Mrs) -> None:
    shown = finished("leaderboard", "shop")
    assert shown.code == 0
    for row in rows(finished, 'SELECT model, "recall@20" AS recall FROM eval.leaderboard'):
        line = next(line for line in shown.out.splitlines() if f" {row['model']} " in line)
        assert f"{float(row['recall']):.4f}" in line and " to " in line


def test_leaderboard_refusals(finished: Mrs) -> None:
    unknown = finished("leaderboard", "shoe")
    assert unknown.code == 1
    assert "no results of a dataset shoe" in unknown.sentence and "results of shop" in unknown.sentence
    window = finished("leaderboard", "shop", "--window", "2021")
    assert window.code == 1
    assert window.sentence.startswith("shop has no results for window 2021; it has them for full")


def test_recommend_prints_the_leader_s_list_with_titles(finished: Mrs) -> None:
    leader = rows(finished, "SELECT model FROM eval.leaderboard ORDER BY rank LIMIT 1")[0]["model"]
    wanted = rows(
        finished,
        "SELECT item_id FROM serving.recommendations WHERE dataset = 'shop' AND user_id = 'u7' "
        f"AND model = '{leader}' AND rank <= 4 ORDER BY rank",
    )
    shown = finished("recommend", "shop", "u7", "-k", "4")
    assert shown.code == 0
    assert f"shop, user u7: {leader}, window full" in shown.out
    lines = [line for line in shown.out.splitlines() if "Thing " in line]
    assert [line.split("│")[2].strip() for line in lines] == [row["item_id"] for row in wanted]
    assert all(f"Thing {row['item_id'][1:]} " in line for row, line in zip(wanted, lines, strict=True))


def test_recommend_of_another_model(finished: Mrs) -> None:
    shown = finished("recommend", "shop", "u7", "--model", "most_pop", "--window", "full")
    assert shown.code == 0 and "most_pop, window full" in shown.out


def test_recommend_refusals(finished: Mrs) -> None:
    refusals = {
        (
            "shop",
            "u1",
            "--model",
            "vbpr",
        ): "shop has no recommendations for window full by model vbpr; there are ",
        ("shop", "u1", "--window", "2020"): "shop has no recommendations for window 2020; there are full.",
        ("shop",): "name a user (`mrs recommend shop USER_ID`), an item",
        ("shop", "u1", "--item", "i1"): "name a user (`mrs recommend shop USER_ID`), an item",
        ("shop", "--item", "stone"): "shop has no item stone in window full; its items are called like ",
        ("shoe", "u1"): "there are no results of a dataset shoe in ",
    }
    for arguments, sentence in refusals.items():
        told = finished("recommend", *arguments)
        assert told.code == 1 and told.sentence.startswith(sentence)


def test_who_has_no_history_is_shown_what_is_popular(finished: Mrs) -> None:
    shown = finished("recommend", "shop", "nobody", "-k", "3")
    assert shown.code == 0
    assert "shop, user nobody: popularity, window full" in " ".join(shown.out.split())
    assert "shop knows no user nobody at window full (they are called like u0, u1, u10)" in shown.err
    counted = rows(
        finished,
        "SELECT item, count(DISTINCT \"user\") AS users FROM core.splits WHERE split <> 'test' GROUP BY item "
        "ORDER BY users DESC, item LIMIT 3",
    )
    lines = [line for line in shown.out.splitlines() if "Thing " in line]
    assert [line.split("│")[-2].strip() for line in lines] == [row["users"] for row in counted]


def test_the_users_of_an_item(finished: Mrs) -> None:
    item = rows(
        finished,
        "SELECT item_id, count(*) AS n FROM serving.recommendations WHERE model = 'most_pop' GROUP BY item_id "
        "ORDER BY n DESC, item_id LIMIT 1",
    )[0]["item_id"]
    shown = finished("recommend", "shop", "--item", item, "--model", "most_pop", "-k", "5")
    assert shown.code == 0 and f"shop, item {item}: most_pop" in shown.out
    wanted = rows(
        finished,
        f"SELECT user_id FROM serving.recommendations WHERE model = 'most_pop' AND item_id = '{item}' "
        "ORDER BY rank, score DESC, user_id LIMIT 5",
    )
    assert [line.split("│")[2].strip() for line in shown.out.splitlines() if "│ u" in line] == [
        row["user_id"] for row in wanted
    ]


def test_lineage_leads_from_the_report_to_the_digests_of_the_raw_files(finished: Mrs) -> None:
    shown = finished("lineage", "shop", "eval/report")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("eval/report full ") and " by run " in lines[0] and ", code " in lines[0]
    made = rows(finished, "SELECT asset, data_version FROM lineage.materializations")
    made = [
        row
        for row in made
        if row["asset"].split("/")[0] in BELOW_THE_REPORT and row["asset"] != "core/quarantine"
    ]
    for row in made:  # the report rests on them all, and each is spelt out once
        assert sum(f"{row['asset']} full {row['data_version'][:12]}" in line for line in lines) == 1
    for name in ("interactions.csv", "items.csv", "sound.npy"):
        version = next(
            row["upstream_version"]
            for row in rows(finished, "SELECT DISTINCT upstream, upstream_version FROM lineage.edges")
            if row["upstream"] == f"source/{name}"
        )
        assert any(f"source/{name} {version[:12]}" in line for line in lines)


def test_lineage_of_one_recommendation_ends_at_the_digests_of_the_user_s_files(finished: Mrs) -> None:
    place = rows(
        finished,
        "SELECT item_id, rank FROM serving.recommendations WHERE user_id = 'u7' AND model = 'most_pop' "
        "ORDER BY rank DESC LIMIT 1",
    )[0]
    asked = ("lineage", "shop", "--user", "u7", "--item", place["item_id"], "--model", "most_pop")
    shown = finished(*asked)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert any(row[:2] == [place["rank"], place["item_id"]] for row in cells)
    (counted,) = rows(finished, "SELECT count(*) AS n FROM raw.interactions WHERE user_id = 'u7'")
    (file,) = [row for row in cells if row[:1] == ["interactions.csv"]]
    assert file[1] == counted["n"]
    assert file[2] == _digest_of_the_log(finished)
    assert any(line.startswith("recommendations/most_pop full ") for line in lines)
    assert finished(*asked[:-1], "mostpop").code == 1
    first = finished("lineage", "shop", "--user", "u7", "--model", "most_pop", "--json")
    assert [row["rank"] for row in json.loads(first.out)["rows"]] == [1]
    absent = finished("lineage", "shop", "--user", "u7", "--item", "nowhere", "--model", "most_pop")
    assert absent.sentence.startswith(
        "most_pop does not list nowhere for u7 in window full; `mrs recommend shop u7`"
    )


def _digest_of_the_log(finished: Mrs) -> str:
    query = "SELECT upstream_version FROM lineage.edges WHERE upstream = 'source/interactions.csv' LIMIT 1"
    return rows(finished, query)[0]["upstream_version"]


def test_lineage_downwards_from_a_file_reaches_the_report(finished: Mrs) -> None:
    shown = finished("lineage", "shop", "source/items.csv", "--down")
    assert shown.code == 0, shown.err
    for asset in ("raw/items", "core/items", "metrics/most_pop", "eval/report"):
        assert f" {asset} " in shown.out
    unknown = finished("lineage", "shop", "source/item.csv", "--down")
    assert unknown.sentence.startswith(
        "nothing of shop is recorded as made of source/item.csv; there is source/items.csv"
    )
    assert finished("lineage", "shop").code == 2
    assert finished("lineage", "shop", "core/items", "--user", "u7").code == 2


def test_lineage_refusals(finished: Mrs) -> None:
    asset = finished("lineage", "shop", "core/item")
    assert asset.code == 1
    assert asset.sentence.startswith(
        "nothing called core/item has been made of shop; its assets are core/inter"
    )
    window = finished("lineage", "shop", "core/items", "--window", "2020")
    assert window.sentence == "core/items of shop has not been made for window 2020; it has for full."
    assert finished("lineage", "shoe", "core/items").code == 1


def test_query_as_a_table_and_as_csv(finished: Mrs) -> None:
    table = finished("query", "SELECT item_id, title, NULL AS nothing FROM core.items ORDER BY item LIMIT 2")
    assert table.code == 0
    assert "Thing 0" in table.out and "null" not in table.out.lower().replace("nothing", "")
    cut = finished("query", "SELECT * FROM core.interactions")
    assert f"60 of {N_ROWS} rows" in cut.out
    assert len(rows(finished, "SELECT * FROM core.interactions")) == N_ROWS


def test_query_of_vectors(finished: Mrs) -> None:
    vector = rows(finished, "SELECT vector FROM features.shop_audio_identity LIMIT 1")[0]["vector"]
    assert len(json.loads(vector)) == 6
    assert finished("query", "SELECT vector FROM features.shop_audio_identity").code == 0


def test_query_refusals(finished: Mrs) -> None:
    for sql, clause in {
        "SELECT * FROM core.itms": "Table with name itms does not exist",
        "DROP VIEW core.items": "the statement is DROP, not a query",
        "": "the statement is empty, not a query",
    }.items():
        told = finished("query", sql)
        assert told.code == 1 and clause in told.sentence


def test_datasets_are_listed(home: Mrs) -> None:
    add_shop(home.root)
    add_shop(home.root, "other")
    told = home("datasets")
    assert told.code == 0
    shop = next(line for line in told.out.splitlines() if " shop " in line)
    assert "raw/shop" in shop and "audio_identity" in shop and "most_pop, mm_ease" in shop
    assert any(" other " in line for line in told.out.splitlines())


def test_models_are_listed_with_their_cells(empty: Mrs) -> None:
    from mrs_pipeline.models.registry import MODELS

    told = empty("models")
    assert told.code == 0
    for name, model in MODELS.items():
        assert name in told.out
        assert all(cell.value in told.out for cell in model.spec.cells)
    survey = empty("models", "--survey")
    assert survey.code == 0
    assert re.search(r"MGAT .*here: mgat", survey.out)
    by_cell = empty("models", "--by-cell")
    assert by_cell.code == 0
    fusion = next(line for line in by_cell.out.splitlines() if line.startswith("  fusion: other"))
    assert {"vbpr", "mm_ease"} <= set(fusion.replace(",", "").split())


def test_digests_of_the_lineage_are_those_of_the_files(finished: Mrs) -> None:
    found = rows(
        finished, "SELECT upstream_version FROM lineage.edges WHERE upstream = 'source/items.csv' LIMIT 1"
    )
    content = (finished.root / "raw" / "shop" / "items.csv").read_bytes()
    assert found[0]["upstream_version"] in {
        hashlib.new(name, content).hexdigest() for name in ("sha256", "blake2b", "blake2s")
    }


def test_texts_are_printed_as_they_are(finished: Mrs) -> None:
    told = finished("query", "SELECT ':x: :smile: [bold]b[/bold]' AS text")
    assert ":x: :smile: [bold]b[/bold]" in told.out


def test_controls_of_a_terminal_are_shown_not_obeyed(finished: Mrs) -> None:
    told = finished("query", "SELECT chr(27) || '[2J' AS text")
    assert "\\x1b[2J" in told.out and "\x1b" not in told.out


FORMULAS = ("=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "-1+1", "+49 30 1234")
HARMLESS = ("-1.5", "+3", "-1e-3", "1,5", "a=b", "'=1", "", "-1,000.5")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_in_a_csv_is_a_text(finished: Mrs, text: str) -> None:
    sql = f"SELECT '{text.replace(chr(39), chr(39) * 2)}' AS text, -1.5 AS number, ['=1'] AS list"
    told = list(csv.DictReader(io.StringIO(finished("query", "--csv", sql).out, newline="")))
    assert told == [{"text": f"'{text}", "number": "-1.5", "list": "['=1']"}]
    raw = list(csv.DictReader(io.StringIO(finished("query", "--csv", "--raw", sql).out, newline="")))
    assert raw == [{"text": text, "number": "-1.5", "list": "['=1']"}]


def test_what_is_no_formula_stays_as_it_is(finished: Mrs) -> None:
    values = ", ".join(f"('{text.replace(chr(39), chr(39) * 2)}')" for text in HARMLESS)
    told = finished("query", "--csv", f"SELECT text FROM (VALUES {values}) AS t(text)").out
    assert [row["text"] for row in csv.DictReader(io.StringIO(told))] == list(HARMLESS)
    assert finished("query", "--csv", 'SELECT 1 AS "=1+1"').out.startswith("'=1+1\n")


def test_raw_goes_with_csv(finished: Mrs) -> None:
    assert finished("query", "--raw", "SELECT 1").code == 2


def test_the_report_stands_among_its_pages(finished: Mrs) -> None:
    """Every address leads to a file that is there, from the index down and from the parts up."""
    reports = finished.root / "data" / "reports"
    pages = [reports / "index.html", *reports.glob("shop/**/*.html")]
    assert len(pages) >= 3 and reports / "shop" / "report.html" in pages
    addresses = {
        page: re.findall(r'<a href="([^#"][^"]*)"', page.read_text(encoding="utf-8")) for page in pages
    }
    for page, found in addresses.items():
        assert found, page
        assert [address for address in found if not (page.parent / address).is_file()] == []
    assert "shop/report.html" in addresses[reports / "index.html"]
    assert "../index.html" in addresses[reports / "shop" / "report.html"]


def test_the_report_has_costs_lists_and_reasons(finished: Mrs) -> None:
    page = (finished.root / "data" / "reports" / "shop" / "report.html").read_text(encoding="utf-8")
    costs = page[page.index("What it costs") : page.index("Times are those of the machine")]
    for heading in ("Training", "Features", "Size", "Serving"):
        assert f">{heading}</button>" in costs
    assert page.count("which leads</h4>") == 4 and "recommended by mm_ease" in page
    assert page.count('<div class="evidence') == 9  # three places of three users
    assert 'class="shares"' in page  # mm_ease is a sum, so each modality has its share


def test_the_report_takes_the_stored_ranking(finished: Mrs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("ranked again")

    monkeypatch.setattr("mrs_pipeline.reporting.html.leaderboard", refused)
    home = Home(finished.root)
    monkeypatch.chdir(finished.root)
    monkeypatch.setenv("MRS_HOME", str(finished.root))
    inputs = report_inputs(Stage(load_project(home).config("shop"), home))
    assert inputs.board is not None and set(inputs.board["model"]) == {"most_pop", "mm_ease"}
