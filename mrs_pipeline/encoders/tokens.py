"""Opens the tokenizer of a pretrained text model, and makes sure that it is the model's own."""

from typing import Any

from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.errors import InputError

_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
"""One of these holds the vocabulary, in all formats."""


def open_tokenizer(network: TransformersNetwork) -> Any:
    """The tokenizer of the network's folder.

    Raises:
        InputError: its vocabulary is absent (the library would go on with an empty one), or larger than the network's.
    """
    from transformers import AutoTokenizer

    folder = network.folder
    if not any(path for name in _FILES for path in folder.path.glob(name)):
        raise InputError(
            f"{folder.path}: holds no tokenizer ({', '.join(_FILES)}); fetch the model again, whole"
        )
    tokenizer = folder.open(
        "the tokenizer",
        lambda: AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True),
    )
    known = network.config.get_text_config().vocab_size
    if len(tokenizer) > known:
        raise InputError(
            f"{folder.path}: the tokenizer has {len(tokenizer)} tokens and the network {known}; they belong to "
            f"different models: fetch the model again"
        )
    return tokenizer
