"""Which texts are addresses, what they are called, and that keys in them are refused."""

import pytest
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.opening import source_options
from mrs_pipeline.remote.address import address_of, is_address


@pytest.mark.parametrize(
    ("text", "protocol", "title"),
    [
        ("s3://bucket/My Shop/", "s3", "My_Shop"),
        ("s3a://bucket/shop", "s3", "shop"),
        ("gs://bucket", "gs", "bucket"),
        ("https://host/a/log%201.csv.gz?download=1", "http", "log_1"),
        ("http://host/ml-1m.zip", "http", "ml-1m"),
        ("memory://shop", "memory", "shop"),
    ],
)
def test_addresses(text: str, protocol: str, title: str) -> None:
    address = address_of(text)
    assert (address.protocol, address.title) == (protocol, title)


@pytest.mark.parametrize("text", ["/data/shop", "shop", "C:\\shop", "$HOME/shop", "a:b"])
def test_paths_are_none(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://host/x", "an address begins with one of s3://"),
        ("file:///etc/passwd", "an address begins with one of s3://"),
        ("s3://bucket/x::zip://y", "an address begins with one of s3://"),
        ("s3://", "names no place"),
    ],
)
def test_others_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        address_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAHIDDEN:wJalrHIDDEN@bucket/shop",
        "https://me:HIDDEN@host/x.csv",
        "https://host/x.csv?X-Amz-Signature=HIDDEN",
        "https://host/x.csv?sig=HIDDEN&sv=2",
        "https://host/x.csv?access_token=HIDDEN",
    ],
)
@pytest.mark.parametrize("reader", [{}, {"reader": "layout", "layout": "hm"}, {"reader": "mmrec"}])
def test_keys_in_an_address_are_refused_and_not_repeated(text: str, reader: dict[str, str]) -> None:
    with pytest.raises(InputError, match="take it out and give credentials by the environment") as told:
        address_of(text)
    assert "HIDDEN" not in str(told.value)
    with pytest.raises(
        ValidationError, match="take it out and give credentials by the environment"
    ) as refused:
        source_options({"path": text} | reader)
    assert "HIDDEN" not in refused.value.errors()[0]["msg"]
