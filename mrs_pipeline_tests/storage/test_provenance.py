import json

import pytest

from mrs_pipeline.errors import StaleInputError
from mrs_pipeline.storage.provenance import Provenance, require_current

RECORDED = Provenance("code", {"core/items": "aaaaaaaaaaaa", "core/users": "b"})


def test_what_is_current_passes() -> None:
    require_current("features/x", RECORDED, {"core/users": "b", "core/items": "aaaaaaaaaaaa"}, "again")


def test_the_first_input_that_differs_is_named_with_the_remedy() -> None:
    with pytest.raises(StaleInputError, match=r"features/x .* core/items aaaaaaaa, .* now cccccccc: make it"):
        require_current("features/x", RECORDED, {"core/users": "z", "core/items": "cccccccccc"}, "make it")


def test_an_input_that_the_record_lacks_is_named() -> None:
    with pytest.raises(StaleInputError, match="not made from core/splits"):
        require_current("features/x", RECORDED, {"core/splits": "b"}, "make it")


def test_it_survives_json() -> None:
    assert Provenance.from_json(json.loads(json.dumps(RECORDED.to_json()))) == RECORDED
