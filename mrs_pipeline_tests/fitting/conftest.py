"""Fixtures of the tests of whole experiments."""

import pytest
import torch

from mrs_pipeline_tests.toy import ToyMarket, toy_market


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def market() -> ToyMarket:
    return toy_market()
