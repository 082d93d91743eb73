"""Calls beside the caller: in order, few waiting, none after a failure."""

import threading

import pytest

from mrs_pipeline.encoders.lane import STEPS_AHEAD, Lane


def test_calls_run_in_order_on_another_thread():
    seen = []
    with Lane() as lane:
        for at in range(20):
            lane.submit(lambda at=at: seen.append((at, threading.get_ident())))
    assert [at for at, _ in seen] == list(range(20))
    assert {thread for _, thread in seen}.isdisjoint({threading.get_ident()})


def test_nothing_runs_after_a_failure_and_the_failure_is_raised():
    """A chunk must not be written as done when one of its batches has failed."""
    seen = []

    def fail():
        raise ArithmeticError("planted")

    def many():
        with Lane() as lane:
            lane.submit(fail)
            for at in range(STEPS_AHEAD):
                lane.submit(seen.append, at)

    with pytest.raises(ArithmeticError, match="planted"):
        many()
    assert seen == []


def test_a_failure_of_the_caller_stops_what_waits():
    seen, gate = [], threading.Event()

    def caller():
        with Lane() as lane:
            lane.submit(lambda: seen.append(gate.wait(5)))
            lane.submit(seen.append, "late")
            threading.Timer(0.2, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caller()
    assert seen == [True]


def test_only_a_few_may_wait():
    gate, submitted = threading.Event(), []

    def feed():
        with Lane() as lane:
            for at in range(10):
                lane.submit(gate.wait, 5)
                submitted.append(at)

    thread = threading.Thread(target=feed)
    thread.start()
    thread.join(0.3)
    assert len(submitted) <= STEPS_AHEAD
    gate.set()
    thread.join(5)
    assert len(submitted) == 10
