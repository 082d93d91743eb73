"""`mrs leaderboard`, `recommend`, `lineage`, `query`, `datasets`, `models` on a finished run."""

import csv
import io

import polars as pl
import pytest


def test_leaderboard(finished):
    shown = finished("leaderboard", "shop")
    assert shown.code == 0
    assert "recall@20" in shown.out and "95 % interval" in shown.out
    assert "most_pop" in shown.out and "ease" in shown.out
