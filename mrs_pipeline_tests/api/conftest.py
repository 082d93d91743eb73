"""A small market with ids of its own, unsorted, as people bring one."""

import numpy as np
import polars as pl
import pytest

from mrs_pipeline import Dataset

N_USERS, N_ITEMS = 40, 30


@pytest.fixture(scope="session")
def table() -> pl.DataFrame:
    """Two tastes: customers of even and odd number prefer articles of even and odd number. Shuffled."""
    rng = np.random.default_rng(7)
    users = np.repeat(np.arange(N_USERS), 12)
    items = rng.integers(0, N_ITEMS // 2, len(users)) * 2 + (users + (rng.random(len(users)) < 0.1)) % 2
    frame = pl.DataFrame(
        {
            "customer": [f"c{user:02}" for user in users],
            "sku": items * 7 + 3,
            "at": pl.from_epoch(pl.Series(rng.permutation(len(users)) * 60), time_unit="s"),
            "stars": rng.integers(1, 6, len(users)),
        }
    )
    return frame.sample(fraction=1, shuffle=True, seed=1)


@pytest.fixture(scope="session")
def dataset(table: pl.DataFrame) -> Dataset:
    """Split, with one modality that lacks three items; one item of the catalogue is cold."""
    rng = np.random.default_rng(1)
    ids = [item * 7 + 3 for item in range(N_ITEMS - 3)]
    data = Dataset.of(table, user="customer", item="sku", time="at", items=[N_ITEMS * 7 + 3])
    return data.with_features("text", rng.normal(size=(len(ids), 4)), ids=ids[::-1]).split("leave_one_out")
