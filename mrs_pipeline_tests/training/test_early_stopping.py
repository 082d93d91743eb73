"""The state machine, score by score."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mrs_pipeline.training.early_stopping import EarlyStopping


def test_waits_for_patience_and_remembers_the_best():
    stopping = EarlyStopping(patience=2)
    gains = [stopping.update(epoch, score) for epoch, score in enumerate([0.1, 0.3, 0.3, 0.2], start=1)]
    assert gains == [True, True, False, False]  # an equal score is no gain
    assert (stopping.best_epoch, stopping.best_score, stopping.finished) == (2, 0.3, True)


def test_a_gain_starts_the_wait_anew():
    stopping = EarlyStopping(patience=2)
    for epoch, score in enumerate([0.3, 0.2, 0.4, 0.2], start=1):
        stopping.update(epoch, score)
        assert not stopping.finished


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(1, 5), st.integers(0, 50))
def test_state_goes_through_json_at_any_moment(scores, patience, cut):
    whole, first = EarlyStopping(patience), EarlyStopping(patience)
    for epoch, score in enumerate(scores, start=1):
        whole.update(epoch, score)
        if epoch == cut:
            first = EarlyStopping(**json.loads(json.dumps(first.state(), allow_nan=True)))
        first.update(epoch, score)
    assert first == whole
    assert whole.best_score == max(scores)
