"""Fixtures of the model tests: the toy market, and models built or trained on it."""

import pytest
import torch

from mrs_pipeline_tests.toy import ToyMarket, toy_market


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def market() -> ToyMarket:
    return toy_market()
