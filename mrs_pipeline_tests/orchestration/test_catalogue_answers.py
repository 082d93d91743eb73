"""What a person asks `data/mrs.duckdb`: results, quarantine, similar items, and where a number came from."""

from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.plan import plan
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import HISTORY, WINDOW

RAW_WINDOWS = {*HISTORY, WINDOW}


def _one(home: Home, sql: str) -> object:
    return query(home, sql).item()


def test_the_leaderboard(finished: Home) -> None:
    board = query(finished, "SELECT * FROM eval.leaderboard ORDER BY rank")
    assert board["dataset"].unique().to_list() == ["tiny"]
    assert board["window"].unique().to_list() == [WINDOW]
    assert board["rank"].to_list() == [1, 2, 3, 4, 5]
    assert set(board["model"]) == set(homes.TINY["models"])
    assert board["recall@20"].is_sorted(descending=True)
    low, mean, high = (board[name] for name in ("recall@20_ci_low", "recall@20", "recall@20_ci_high"))
    assert ((low <= mean) & (mean <= high)).all()
    assert (board["seconds"] > 0).all()


def test_a_metric_is_the_mean_over_its_users(finished: Home) -> None:
    wrong = query(
        finished,
        """
        SELECT model, metric, k, m.value, avg(u.value) AS users_mean
        FROM eval.metrics AS m JOIN eval.user_metrics AS u USING (dataset, "window", model, seed, slice, metric, k)
        GROUP BY ALL HAVING abs(m.value - users_mean) > 1e-6 OR count(*) != any_value(m.users)
        """,
    )
    assert wrong.is_empty()
    assert _one(finished, "SELECT count(DISTINCT model) FROM eval.metrics") == 5


def test_rows_read_are_kept_or_quarantined(finished: Home) -> None:
    counts = query(
        finished,
        f"""
        SELECT (SELECT count(*) FROM raw.interactions WHERE dataset = 'tiny' AND "window" <= '{WINDOW}') AS read,
               (SELECT count(*) FROM core.interactions WHERE "window" = '{WINDOW}') AS kept,
               (SELECT sum(rows) FROM (
                   SELECT reason, count(*) AS rows FROM core.quarantine WHERE "window" = '{WINDOW}' GROUP BY reason
               )) AS rejected
        """,
    )
    read, kept, rejected = counts.row(0)
    assert read == kept + rejected
    assert rejected > 0
    assert _one(finished, 'SELECT count(DISTINCT "window") FROM raw.interactions') == len(RAW_WINDOWS)


def test_similar_items_by_their_vectors(finished: Home) -> None:
    nearest = query(
        finished,
        """
        SELECT b.item_id, array_cosine_similarity(a.vector, b.vector) AS cosine
        FROM features.tiny_text_tfidf_svd AS a, features.tiny_text_tfidf_svd AS b
        WHERE a.item = 0 AND a.present AND b.present ORDER BY cosine DESC, b.item LIMIT 5
        """,
    )
    first = _one(finished, "SELECT item_id FROM features.tiny_text_tfidf_svd WHERE item = 0")
    assert nearest["item_id"][0] == first
    assert nearest["cosine"][0] == pytest.approx(1.0)
    assert nearest["cosine"].is_sorted(descending=True)


def test_missing_media_have_no_vector(finished: Home) -> None:
    rows = query(
        finished,
        """
        SELECT image IS NULL AS missing, present, vector IS NULL AS empty, count(*) AS items
        FROM core.items JOIN features.tiny_image_color_gradient USING (dataset, "window", item) GROUP BY ALL
        """,
    )
    assert sorted(rows.select("missing", "present", "empty").rows()) == [
        (False, True, False),
        (True, False, True),
    ]


def test_every_user_has_a_full_list_of_what_is_new_to_them(finished: Home) -> None:
    known = query(
        finished,
        """
        SELECT count(*) FROM serving.recommendations AS r
        JOIN core.splits AS s USING (dataset, "window", user, item) WHERE s.split != 'test'
        """,
    )
    assert known.item() == 0
    users = _one(finished, "SELECT count(*) FROM core.users")
    lists = query(
        finished, "SELECT model, count(DISTINCT user) AS users FROM serving.recommendations GROUP BY model"
    )
    assert lists["users"].to_list() == [users] * 5


def test_what_is_written_about_each_materialisation(finished: Home) -> None:
    made = query(finished, "SELECT * FROM lineage.materializations")
    outputs = {str(output) for task in plan(homes.stage_of(finished).config) for output in task.outputs}
    assert set(made["asset"]) == outputs
    assert (
        made.select("run", "made_at", "data_version", "code_version", "package_version").null_count().row(0)
        == (0,) * 5
    )
    raw = made.filter(pl.col("asset") == "raw/interactions")
    assert set(raw["window"]) == RAW_WINDOWS
    assert raw["run"].n_unique() == 1  # one run read the whole range
    assert set(made.filter(pl.col("asset") == "eval/leaderboard")["window"]) == {"full"}


def test_an_edge_leads_to_a_version_that_was_made(finished: Home) -> None:
    """What an asset was made from is, version for version, what another record says was made, or a file."""
    dangling = query(
        finished,
        """
        SELECT e.asset, e.upstream FROM lineage.edges AS e
        LEFT JOIN lineage.materializations AS m
          ON m.asset = split_part(e.upstream, '@', 1) AND m.data_version = e.upstream_version
        WHERE m.asset IS NULL AND split_part(e.upstream, '/', 1) NOT IN ('source', 'media', 'matrix')
        """,
    )
    assert dangling.rows() == []


def test_from_a_recommendation_back_to_the_raw_file(finished: Home) -> None:
    """The recursive query of the documentation, followed to the file that lies on the disk."""
    sources = query(
        finished,
        """
        WITH RECURSIVE origin(asset, version) AS (
            SELECT asset, data_version FROM lineage.materializations WHERE asset = 'recommendations/freedom'
            UNION
            SELECT split_part(e.upstream, '@', 1), e.upstream_version
            FROM origin AS o
            JOIN lineage.materializations AS m ON m.asset = o.asset AND m.data_version = o.version
            JOIN lineage.edges AS e ON e.asset = m.asset AND e.run = m.run AND e."window" = m."window"
        )
        SELECT DISTINCT asset, version FROM origin
        """,
    )
    found = dict(sources.rows())
    assert {"trained/freedom", "core/splits", "features/text_tfidf_svd", "raw/items", "media/image"} <= set(
        found
    )
    raw = finished.root / "data/raw/demo"
    for name in ("items.csv", "interactions/2024-03.parquet"):
        assert found[f"source/{name}"] == file_digest(Path(raw / name))


def test_columns_and_checks_are_recorded(finished: Home) -> None:
    columns = query(finished, "SELECT * FROM lineage.columns")
    pairs = set(columns.select("asset", "column", "upstream", "upstream_column").rows())
    assert ("core/interactions", "item", "raw/items", "item_id") in pairs
    assert ("eval/leaderboard", "recall@20", "metrics/freedom", "value") in pairs
    made = set(query(finished, "SELECT DISTINCT asset FROM lineage.materializations")["asset"])
    assert set(columns["asset"]) | set(columns["upstream"]) <= made
    checks = query(finished, "SELECT * FROM lineage.checks")
    wanted = {
        (str(spec.output), spec.name)
        for task in plan(homes.stage_of(finished).config)
        for spec in task.check_specs
    }
    assert set(checks.select("asset", "name").rows()) == wanted
    assert checks.filter(severity="error")["passed"].all()
    versions = query(
        finished,
        """
        SELECT count(*) FROM lineage.checks AS c ANTI JOIN lineage.materializations AS m
        ON m.asset = c.asset AND m.data_version = c.data_version AND m."window" = c."window"
        """,
    )
    assert versions.item() == 0
