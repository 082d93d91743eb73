"""Every expectation of every table trips on its own planted fault, and on nothing else."""
# ruff: noqa: E501 - one fault a line

from datetime import datetime

import duckdb
import pytest

from mrs_pipeline.quality.judging import check_suites
from mrs_pipeline.tables import (
    features_table,
    interactions,
    items,
    leaderboard,
    metrics,
    quarantine,
    raw_interactions,
    raw_items,
    recommendations,
    splits_table,
    user_metrics,
    users,
)
from mrs_pipeline.tables.rules import InteractionRules

NOW = datetime(2024, 6, 1)
RULES = InteractionRules(min_rating=3, k_core=2)

GOOD = """
CREATE OR REPLACE TABLE raw_items AS
    SELECT 'i' || n AS item_id, 'pictures/' || n || '.png' AS image, NULL::VARCHAR AS audio,
           CASE WHEN n = 1 THEN 'a..b/c.mp4' END AS video
    FROM range(6) AS t(n);
CREATE OR REPLACE TABLE users AS SELECT n AS "user", 'u' || n AS user_id FROM range(4) AS t(n);
CREATE OR REPLACE TABLE items AS SELECT n AS item, 'i' || n AS item_id, n = 4 AS is_cold, true AS is_candidate FROM range(5) AS t(n);
CREATE OR REPLACE TABLE interactions AS
    SELECT "user", item, 'u' || "user" AS user_id, 'i' || item AS item_id,
           TIMESTAMP '2024-01-01' + to_days(item::INTEGER) AS timestamp, 4.0::DOUBLE AS rating,
           NULL::VARCHAR AS split, item < 4 AS is_history
    FROM users, items WHERE "user" < 3 OR item < 3;
CREATE OR REPLACE TABLE quarantine AS
    SELECT 'u9' AS user_id, 'i0' AS item_id, reason FROM (VALUES ('duplicate'), ('unknown item')) AS t(reason);
CREATE OR REPLACE TABLE raw_interactions AS
    SELECT user_id, item_id, timestamp, rating, split, 'f' AS source_file, row_number() OVER () AS source_row
    FROM interactions
    UNION ALL SELECT user_id, item_id, NULL, 1.0, 'train', 'f', 50 FROM quarantine;
CREATE OR REPLACE TABLE splits AS
    SELECT "user", item, timestamp, CASE WHEN item < 3 THEN 'train' WHEN item < 4 THEN 'valid' ELSE 'test' END AS split
    FROM interactions;
CREATE OR REPLACE TABLE features AS
    SELECT item, item_id, item != 2 AS present,
           CASE WHEN item != 2 THEN [item::FLOAT, 1.0::FLOAT] END AS vector FROM items;
CREATE OR REPLACE TABLE recommendations AS
    SELECT users."user", row_number() OVER (PARTITION BY users."user" ORDER BY item)::INTEGER AS rank, item,
           user_id, item_id, (10.0 - item)::FLOAT AS score, 'model' AS ranked_by
    FROM users, items WHERE item > 3 OR (users."user" = 3 AND item = 3);
CREATE OR REPLACE TABLE user_metrics AS
    SELECT "user", 'all' AS slice, metric, k::BIGINT AS k, 0.5::FLOAT AS value, 1::BIGINT AS seed
    FROM users, (VALUES ('recall'), ('ndcg')) AS m(metric), (VALUES (5), (10)) AS c(k)
    UNION ALL SELECT "user", 'all', 'auc', NULL, 0.75, 1 FROM users
    UNION ALL SELECT "user", 'all', 'novelty', 5, 7.5, 1 FROM users;
CREATE OR REPLACE TABLE metrics AS
    SELECT 'all' AS slice, metric, k::BIGINT AS k, 3 AS users, 0.1 + k / 100 AS value, k / 100 AS ci_low,
           0.2 + k / 100 AS ci_high, 1 AS seed, 'model' AS ranked_by
    FROM (VALUES ('recall'), ('ndcg')) AS m(metric), (VALUES (5), (10)) AS c(k)
    UNION ALL VALUES ('all', 'auc', NULL, 3, 0.75, 0.7, 0.8, 1, 'model'), ('all', 'coverage', 5, 3, 0.4, NULL, NULL, 1, 'model'),
        ('all', 'coverage', 10, 3, 0.6, NULL, NULL, 1, 'model'), ('all', 'gini', 5, 3, 0.6, NULL, NULL, 1, 'model'),
        ('all', 'gini', 10, 3, 0.4, NULL, NULL, 1, 'model'), ('all', 'novelty', 5, 3, 7.5, 7.1, 7.9, 1, 'model');
CREATE OR REPLACE TABLE leaderboard AS
    SELECT n AS rank, 'p' AS protocol, w AS "window", 'm' || n AS model, 1.0 / n AS "recall@20", false AS stale,
        0.9 / n AS "recall@20_ci_low", 1.0 / n AS "recall@20_ci_high", -0.2 AS best_low, 0.05 - n / 20 AS best_high,
        0.08 / n AS best_p FROM range(1, 4) AS t(n), (VALUES ('2023'), ('2024')) AS v(w)
    UNION ALL VALUES (NULL, 'p', '2024', 'old', 0.9, true, 0.8, 0.95, NULL, NULL, NULL);
"""

KNOWN = "(SELECT * REPLACE ('train' AS split) FROM splits WHERE split <> 'test')"
SUITES = {
    "raw_interactions": lambda: raw_interactions.suites("raw_interactions", NOW),
    "raw_items": lambda: raw_items.suites("raw_items"),
    "users": lambda: users.suites("users"),
    "items": lambda: items.suites("items"),
    "interactions": lambda: interactions.suites("interactions", "users", "items", RULES, NOW),
    "quarantine": lambda: quarantine.suites("quarantine", "interactions", "raw_interactions"),
    "splits": lambda: splits_table.suites("splits", "interactions", in_time_order=True),
    "features": lambda: features_table.suites("features", "items"),
    "recommendations": lambda: recommendations.suites("recommendations", "users", "items", KNOWN, 2),
    "user_metrics": lambda: user_metrics.suites("user_metrics", "users"),
    "metrics": lambda: metrics.suites("metrics"),
    "leaderboard": lambda: leaderboard.suites("leaderboard"),
}

NEW_ROW = 'INSERT INTO interactions SELECT * REPLACE ({}) FROM interactions WHERE "user" = 0 AND item = 0'

FAULTS = [
    ("raw_interactions", "UPDATE raw_interactions SET user_id = NULL", "most interactions name their user"),
    ("raw_interactions", "UPDATE raw_interactions SET item_id = NULL", "most interactions name their item"),
    ("raw_interactions", "UPDATE raw_interactions SET timestamp = TIMESTAMP '1969-12-31'", "most happened after 1970"),
    ("raw_interactions", "UPDATE raw_interactions SET timestamp = TIMESTAMP '2024-06-03'", "most happened in the past"),
    ("raw_interactions", "UPDATE raw_interactions SET rating = 'infinity' WHERE source_row = 1", "ratings are ordinary numbers"),
    ("raw_interactions", "UPDATE raw_interactions SET split = 'dev' WHERE source_row = 1", "given splits are train, valid or test"),
    ("raw_interactions", "UPDATE raw_interactions SET source_row = 0 WHERE source_row = 1", "every interaction knows its row in the source"),
    ("raw_items", "DELETE FROM raw_items", "the catalogue is not empty"),
    ("raw_items", "UPDATE raw_items SET item_id = NULL WHERE item_id = 'i0'", "every item has an id"),
    ("raw_items", "UPDATE raw_items SET item_id = 'i1' WHERE item_id = 'i0'", "no item stands there twice"),
    ("raw_items", "UPDATE raw_items SET image = 'a/../../b.png' WHERE item_id = 'i0'", "no image lies outside the source's folder"),
    ("raw_items", "UPDATE raw_items SET audio = '/etc/a.wav' WHERE item_id = 'i0'", "no audio lies outside the source's folder"),
    ("raw_items", "UPDATE raw_items SET video = 'C:a.mp4' WHERE item_id = 'i0'", "no video lies outside the source's folder"),
    ("users", "UPDATE users SET user_id = NULL WHERE \"user\" = 0", "every user has an id"),
    ("users", "UPDATE users SET user_id = 'u1' WHERE \"user\" = 0", "no user id has two numbers"),
    ("users", "UPDATE users SET \"user\" = \"user\" + 1", "user numbers begin at 0"),
    ("users", "UPDATE users SET \"user\" = 9 WHERE \"user\" = 3", "no user number is skipped"),
    ("users", "INSERT INTO users VALUES (3, 'u9')", "no user number is used twice"),
    ("items", "UPDATE items SET item_id = NULL WHERE item = 0", "every item has an id"),
    ("items", "UPDATE items SET item_id = 'i1' WHERE item = 0", "no item id has two numbers"),
    ("items", "UPDATE items SET is_cold = NULL WHERE item = 0", "every item is warm or cold"),
    ("items", "UPDATE items SET is_candidate = NULL WHERE item = 4", "every item is ranked in tests or not"),
    ("items", "UPDATE items SET is_candidate = false WHERE item = 0", "every warm item is a candidate"),
    ("items", "UPDATE items SET item = item + 1", "item numbers begin at 0"),
    ("items", "UPDATE items SET item = 9 WHERE item = 4", "no item number is skipped"),
    ("items", "INSERT INTO items VALUES (3, 'i9', false, true)", "no item number is used twice"),
    ("items", "UPDATE items SET is_cold = true WHERE item = 2", "cold items are numbered after all warm ones"),
    ("interactions", "UPDATE interactions SET user_id = 'u9' WHERE \"user\" = 0", "every user has its number from core.users"),
    ("interactions", "UPDATE items SET item_id = 'i9' WHERE item = 0", "every item has its number from core.items"),
    ("interactions", "UPDATE interactions SET timestamp = TIMESTAMP '1960-01-01' WHERE item = 0", "nothing happened before 1970"),
    ("interactions", "UPDATE interactions SET timestamp = TIMESTAMP '2025-01-01' WHERE item = 0", "nothing happened in the future"),
    ("interactions", NEW_ROW.format("5.0 AS rating"), "no user has an item twice"),
    ("interactions", "UPDATE interactions SET rating = 2.9 WHERE item = 0", "every rating counts as liking"),
    ("interactions", "UPDATE interactions SET rating = NULL WHERE item = 0", "every row is rated"),
    ("interactions", "DELETE FROM interactions WHERE \"user\" = 3 AND item < 2", "every user of the history has 2 rows in it"),
    ("interactions", "DELETE FROM interactions WHERE item = 3 AND \"user\" > 0", "every item of the history has 2 rows in it"),
    ("interactions", "DELETE FROM interactions WHERE \"user\" = 3", "every user has a history"),
    ("quarantine", "UPDATE quarantine SET reason = NULL WHERE reason = 'duplicate'", "every rejected row has a reason"),
    ("quarantine", "UPDATE quarantine SET reason = 'dull' WHERE reason = 'duplicate'", "every reason is a known one"),
    ("quarantine", "DELETE FROM quarantine WHERE reason = 'duplicate'", "every raw row is either kept or in quarantine"),
    ("splits", "UPDATE splits SET split = NULL WHERE \"user\" = 0 AND item = 4", "every row has a label"),
    ("splits", "UPDATE splits SET split = 'dev' WHERE \"user\" = 0 AND item = 4", "labels are train, valid or test"),
    ("splits", "UPDATE splits SET split = 'test'", "there are rows to train on"),
    ("splits", "DELETE FROM splits WHERE \"user\" = 0 AND split = 'train'", "there are as many rows as in core.interactions"),
    ("splits", "UPDATE splits SET item = 3 WHERE \"user\" = 0 AND item = 4", "every row of core.interactions has one label"),
    ("splits", "UPDATE splits SET split = 'train' WHERE \"user\" = 0 AND split = 'valid'", "all of valid lies after all of train in time"),
    ("splits", "UPDATE splits SET split = 'test' WHERE \"user\" = 0 AND split = 'valid'", "all of test lies after all of valid in time"),
    ("splits", "UPDATE splits SET split = 'test' WHERE split = 'valid'; UPDATE splits SET split = 'test' WHERE \"user\" = 0 AND item = 2", "all of test lies after all of train in time"),
    ("features", "DELETE FROM features WHERE item = 0", "there is a row for every item"),
    ("features", "UPDATE features SET item_id = 'i9' WHERE item = 0", "every row is an item of core.items"),
    ("features", "UPDATE features SET present = true WHERE item = 2", "an item has a vector exactly where it is present"),
    ("features", "UPDATE features SET vector = [1.0, 2.0, 3.0] WHERE item = 0", "all vectors have one width"),
    ("features", "UPDATE features SET vector = [1.0, 1.0] WHERE present", "the vectors tell items apart (else leave the feature set out)"),
    ("features", "INSERT INTO items SELECT n, 'i' || n, true, true FROM range(5, 500) AS t(n); INSERT INTO features SELECT item, item_id, false, NULL FROM items WHERE item > 4", "enough items have a vector"),
    ("features", "UPDATE features SET vector = ['nan'::FLOAT, 1.0] WHERE item = 0", "every vector is finite"),
    ("features", "UPDATE features SET vector = ['infinity'::FLOAT, 1.0] WHERE item = 0", "every vector is finite"),
    ("features", "UPDATE features SET vector = [0.0, 0.0] WHERE item = 0", "nearly no vector is zero"),
    ("recommendations", "UPDATE recommendations SET user_id = 'u9' WHERE \"user\" = 0", "every user is one of core.users"),
    ("recommendations", "UPDATE recommendations SET item_id = 'i9' WHERE \"user\" = 0", "every item is one of core.items"),
    ("recommendations", "UPDATE recommendations SET item = 0, item_id = 'i0' WHERE \"user\" = 0", "nobody is recommended what they already had"),
    ("recommendations", "UPDATE recommendations SET ranked_by = 'oracle' WHERE \"user\" = 0", "lists come from the model, a history or popularity"),
    ("recommendations", "UPDATE recommendations SET score = 'nan' WHERE \"user\" = 0", "every score is finite"),
    ("recommendations", "UPDATE recommendations SET score = -score", "scores do not rise along a list"),
    ("recommendations", "DELETE FROM recommendations WHERE \"user\" = 3", "every user has 2 items, or all that are left to rank"),
    ("recommendations", "UPDATE recommendations SET item = 4, item_id = 'i4' WHERE \"user\" = 3", "no item stands twice in a list"),
    ("recommendations", "UPDATE recommendations SET rank = rank + 1", "places are numbered from 1 without gaps"),
    ("recommendations", "UPDATE recommendations SET rank = rank - 1", "places are numbered from 1 without gaps"),
    ("user_metrics", "UPDATE user_metrics SET value = NULL WHERE \"user\" = 0", "every user's metric is a number"),
    ("user_metrics", "UPDATE user_metrics SET value = 1.1 WHERE \"user\" = 0 AND metric = 'recall'", "every user's metric lies in its range"),
    ("user_metrics", "UPDATE user_metrics SET value = -0.1 WHERE \"user\" = 0 AND metric = 'novelty'", "every user's metric lies in its range"),
    ("user_metrics", "UPDATE user_metrics SET value = 'nan' WHERE \"user\" = 0 AND metric = 'novelty'", "every user's metric is a number"),
    ("user_metrics", "UPDATE user_metrics SET \"user\" = 9 WHERE \"user\" = 0", "every user is one of core.users"),
    ("user_metrics", "INSERT INTO user_metrics SELECT * FROM user_metrics WHERE \"user\" = 0 AND k = 5", "no user is measured twice"),
    ("metrics", "UPDATE metrics SET value = NULL WHERE metric = 'ndcg'", "every metric is a number"),
    ("metrics", "UPDATE metrics SET value = 1.2, ci_high = 1.3 WHERE metric = 'ndcg'", "every metric lies in its range"),
    ("metrics", "UPDATE metrics SET value = 1.2, ci_high = 1.3 WHERE metric = 'auc'", "every metric lies in its range"),
    ("metrics", "UPDATE metrics SET value = -0.1 WHERE metric = 'gini' AND k = 5", "every metric lies in its range"),
    ("metrics", "UPDATE metrics SET ci_low = value + 0.01 WHERE metric = 'ndcg'", "intervals enclose their mean"),
    ("metrics", "UPDATE metrics SET users = 0", "every metric is over at least one user"),
    ("metrics", "UPDATE metrics SET ranked_by = 'oracle' WHERE metric = 'ndcg'", "lists come from the model, a history or popularity"),
    ("metrics", "INSERT INTO metrics SELECT * FROM metrics WHERE metric = 'ndcg'", "no metric stands there twice"),
    ("metrics", "UPDATE metrics SET value = 0.12, ci_low = 0.1 WHERE k = 10 AND metric = 'recall'", "what a longer list can only raise does not fall with k"),
    ("metrics", "UPDATE metrics SET value = 0.3 WHERE k = 10 AND metric = 'coverage'", "what a longer list can only raise does not fall with k"),
    ("metrics", "INSERT INTO metrics SELECT * FROM metrics WHERE metric = 'auc'", "no metric stands there twice"),
    ("leaderboard", "UPDATE leaderboard SET rank = rank - 1", "ranks begin at 1"),
    ("leaderboard", "UPDATE leaderboard SET rank = 1 WHERE stale", "no model measured on other data is ranked"),
    ("leaderboard", "UPDATE leaderboard SET best_p = 0.06 WHERE rank = 3", "a difference excludes 0 exactly where its p is below .05"),
    ("leaderboard", "UPDATE leaderboard SET \"recall@20_ci_low\" = -0.01 WHERE rank = 3", "intervals of recall lie between 0 and 1"),
    ("leaderboard", "UPDATE leaderboard SET \"recall@20\" = 1.5 WHERE rank = 1", "recall lies between 0 and 1"),
    ("leaderboard", "UPDATE leaderboard SET model = 'm1'", "no model is ranked twice"),
    ("leaderboard", "UPDATE leaderboard SET rank = 4 - rank", "no model stands above a better one"),
]  # fmt: skip


@pytest.fixture
def con():
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.execute(GOOD)
        yield con


@pytest.mark.parametrize("table", SUITES)
def test_good_tables_pass(con, table: str) -> None:
    report = check_suites(con, SUITES[table]())
    assert report.failures == ()
    assert report.rows


@pytest.mark.parametrize(("table", "fault", "description"), FAULTS, ids=lambda value: str(value)[:60])
def test_a_planted_fault_trips_its_expectation_and_no_other(con, table, fault, description) -> None:
    con.execute(fault)
    report = check_suites(con, SUITES[table]())
    assert [row.description for row in report.failures] == [description]
    assert not report.failures[0].observed.startswith("not evaluated")


def test_every_expectation_has_a_planted_fault() -> None:
    declared = {
        (table, expectation.description)
        for table, suites in SUITES.items()
        for suite in suites()
        for expectation in suite.expectations
    }
    assert declared == {(table, description) for table, _, description in FAULTS}


def test_what_the_rules_do_not_ask_is_not_expected() -> None:
    free = interactions.suites("i", "u", "t", InteractionRules(deduplicate="none"), NOW)
    described = {str(expectation.description) for suite in free for expectation in suite.expectations}
    assert "no user has an item twice" not in described
    assert "every row is rated" not in described
    assert "every user of the history has 1 rows in it" in described
    loose = splits_table.suites("s", "i", in_time_order=False)
    assert not any("in time" in str(each.description) for suite in loose for each in suite.expectations)


@pytest.mark.parametrize("table", ["raw_interactions", "interactions", "quarantine"])
def test_an_empty_window_passes(con, table: str) -> None:
    for name in ("raw_interactions", "interactions", "quarantine", "users", "items"):
        con.execute(f"DELETE FROM {name}")
    assert check_suites(con, SUITES[table]()).success
