"""A real S3 server on this machine, one a module."""

from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from mrs_pipeline.remote import filesystem, mirror


@pytest.fixture(autouse=True)
def looking_again() -> Iterator[None]:
    """Every call looks at the address, as separate commands do."""
    mirror.forget()
    yield
    filesystem._opened.cache_clear()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of a bucket; credentials and endpoint are in the environment."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    # what another module's server has stored in this process is still there
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        filesystem._opened.cache_clear()
        filesystem.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    filesystem._opened.cache_clear()
    server.stop()
