"""The encoders by name: those of this package, and those that others add under `mrs_pipeline.encoders`.

An encoder's file, with its options, is loaded when an entry of `features:` names it. One name may stand for encoders
of several modalities, each under `<modality>.<name>`.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from mrs_pipeline.code import boundary
from mrs_pipeline.encoders.automatic import AUTO_SCHEMA, written_out
from mrs_pipeline.encoders.options import EncoderOptions, ImageOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import did_you_mean
from mrs_pipeline.open_settings import OneOf
from mrs_pipeline.registry import Registry, class_flaw
from mrs_pipeline.taxonomy import Modality

if TYPE_CHECKING:
    from mrs_pipeline.encoders.base import Encoder, ReadyMatrix

_HERE: Final = "mrs_pipeline.encoders"


def _flaw(_: str, found: object) -> str | None:
    from mrs_pipeline.encoders.base import Encoder

    return class_flaw(found, Encoder, "Options")


ENCODERS: Final["Registry[type[Encoder]]"] = boundary(
    Registry(
        "mrs_pipeline.encoders",
        "encoder",
        {
            "tfidf_svd": f"{_HERE}.tfidf_svd:TfidfSvdEncoder",
            "color_gradient": f"{_HERE}.color_gradient:ColorGradientEncoder",
            "log_mel": f"{_HERE}.log_mel:LogMelEncoder",
            "identity": f"{_HERE}.identity:IdentityEncoder",
            "minilm": f"{_HERE}.minilm:MinilmEncoder",
            "efficientnet_lite0": f"{_HERE}.efficientnet_lite0:EfficientNetLite0Encoder",
            "frames": f"{_HERE}.frames:FramesEncoder",
            "text.transformer": f"{_HERE}.text_transformer:TextTransformerEncoder",
            "image.transformer": f"{_HERE}.image_transformer:ImageTransformerEncoder",
            "audio.transformer": f"{_HERE}.audio_transformer:AudioTransformerEncoder",
            "video.transformer": f"{_HERE}.video_transformer:VideoTransformerEncoder",
            "vision_language": f"{_HERE}.vision_language:VisionLanguageEncoder",
            "text.clip": f"{_HERE}.clip:ClipTextEncoder",
            "image.clip": f"{_HERE}.clip:ClipImageEncoder",
        },
        _flaw,
    )
)
"""Name, or `<modality>.<name>` -> class."""


def encoder_class(encoder: str, modality: str | None) -> "type[Encoder]":
    """The encoder that an entry of `features:` means.

    Raises:
        ValueError: there is none of that name, or none for that modality.
    """
    return ENCODERS[_registered(encoder, modality)]


def _registered(encoder: str, modality: str | None) -> str:
    """The name in `ENCODERS`."""
    if encoder in ENCODERS:
        return encoder
    modalities = [name.partition(".")[0] for name in ENCODERS if name.partition(".")[2] == encoder]
    if not modalities:
        names = dict.fromkeys(name.rpartition(".")[2] for name in ENCODERS)
        raise ValueError(
            f"there is no encoder '{encoder}'{did_you_mean(str(encoder), names)}; the encoders are {', '.join(names)}"
        )
    if modality not in modalities:
        raise ValueError(f"encoder: {encoder} needs `modality:`, one of {', '.join(modalities)}")
    return f"{modality}.{encoder}"


def _options_class(entry: Mapping[str, Any]) -> type[EncoderOptions]:
    if "encoder" not in entry:
        raise ValueError("each entry names its `encoder:`")
    return encoder_class(str(entry["encoder"]), entry.get("modality")).Options


def _image_options_class(entry: Mapping[str, Any]) -> type[EncoderOptions]:
    found = _options_class({"modality": Modality.IMAGE, **entry})
    if not issubclass(found, ImageOptions):
        raise ValueError(f"encoder: {entry['encoder']} is no encoder of images")
    return found


def _image_written_out(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return written_out({"modality": Modality.IMAGE, **entry})


def _every(base: type[EncoderOptions]) -> Callable[[], Iterable[type[EncoderOptions]]]:
    return lambda: [each.Options for each in ENCODERS.values() if issubclass(each.Options, base)]


FeatureOptions = Annotated[
    EncoderOptions, OneOf(_options_class, _every(EncoderOptions), written_out, (AUTO_SCHEMA,))
]
"""One entry of `features:`; `encoder`, and where that leaves it open `modality`, say what else it may hold."""

ImageFeatureOptions = Annotated[
    EncoderOptions, OneOf(_image_options_class, _every(ImageOptions), _image_written_out)
]
"""The same, of an encoder of images."""


def encoder_roots(options: EncoderOptions) -> tuple[str, ...]:
    """References of the encoder classes behind options, for the code of the task that extracts them."""
    image = getattr(options, "image", None)
    own = ENCODERS.reference(_registered(options.encoder, options.modality))
    return (own, *encoder_roots(image)) if isinstance(image, EncoderOptions) else (own,)


def open_encoder(
    options: EncoderOptions,
    media_root: Path,
    settings: EngineSettings | None = None,
    matrix: "ReadyMatrix | None" = None,
) -> "Encoder":
    """The encoder for these options.

    Args:
        options: one entry of `features:`.
        media_root: the folder that media paths are relative to and may not leave.
        settings: device and folder of pretrained models.
        matrix: what stands behind the `matrix` of the encoder `identity`.
    """
    from mrs_pipeline.encoders.base import Surroundings

    surroundings = Surroundings(media_root, settings or EngineSettings(), matrix)
    return encoder_class(options.encoder, options.modality)(options, surroundings)
