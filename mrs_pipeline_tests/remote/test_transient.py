"""Which faults are worth another try."""

import errno

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.transient import is_transient


def _of_library(name: str, module: str, **facts: object) -> Exception:
    return type(name, (Exception,), {"__module__": module, **facts})()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        OSError(errno.ESTALE, "stale file handle"),
        _of_library("EndpointConnectionError", "botocore.exceptions"),
        _of_library("ClientResponseError", "aiohttp.client_exceptions", status=503),
        _of_library("ServerDisconnectedError", "aiohttp.client_exceptions"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_passes(error: Exception) -> None:
    assert is_transient(error)
    wrapped = InputError("s3://shop/a.csv cannot be read")
    wrapped.__cause__ = error
    assert is_transient(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("a.csv"),
        PermissionError(errno.EACCES, "denied"),
        OSError(errno.ENOSPC, "no space left"),
        ValueError("wrong"),
        InputError("line 3 of a.csv: 'yesterday' is no time"),
        _of_library("ClientResponseError", "aiohttp.client_exceptions", status=404),
        _of_library("ConnectionError", "shop.models"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_stays(error: Exception) -> None:
    assert not is_transient(error)
