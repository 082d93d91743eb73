"""What the files of the sentence-transformers layout say about a model: pooling, length, prompt, projections.

`modules.json` lists the parts. Known parts are the network, its pooling, dense projections and normalisation;
any other would change the vector in a way unknown here and is refused. Running the network belongs to the
encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrs_pipeline.encoders.pretrained import ModelFolder
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from torch.nn import Module

_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_NAMES = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid")


@dataclass(frozen=True)
class SentenceLayout:
    """What a sentence-transformers folder declares.

    Attributes:
        pooling: `cls`, `mean` or `last`.
        max_tokens: where texts are cut, None where the files do not say.
        prefix: the default prompt, empty where there is none.
        projections: folders of dense layers that follow the pooling, in order.
    """

    pooling: str
    max_tokens: int | None = None
    prefix: str = ""
    projections: tuple[str, ...] = ()


def sentence_layout(folder: ModelFolder) -> SentenceLayout | None:
    """The layout of a folder, None where it has none; InputError where it declares what is not known here."""
    modules = folder.read_json_list("modules.json")
    if modules is None:
        return None
    try:
        parts = [(str(part["type"]).rpartition(".")[2], str(part["path"])) for part in modules]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder.path / 'modules.json'} does not list parts with type and path; fetch the model again"
        ) from error
    unknown = [kind for kind, _ in parts if kind not in ("Transformer", "Pooling", "Dense", "Normalize")]
    if unknown or [kind for kind, _ in parts[:2]] != ["Transformer", "Pooling"] or parts[0][1]:
        raise InputError(
            f"{folder.path / 'modules.json'}: its parts {', '.join(kind for kind, _ in parts)} are not a network at "
            f"the top of the folder followed by pooling, dense layers and normalisation; use another model"
        )
    return SentenceLayout(
        pooling=_pooling(folder, parts[1][1]),
        max_tokens=_max_tokens(folder),
        prefix=_default_prompt(folder.read_json("config_sentence_transformers.json")),
        projections=tuple(path for kind, path in parts if kind == "Dense"),
    )


def _pooling(folder: ModelFolder, path: str) -> str:
    declared = folder.read_json(f"{path}/config.json")
    chosen = [name for key, name in _POOLINGS.items() if declared.get(key)]
    other = [key for key, value in declared.items() if key.startswith("pooling_mode_") and value is True]
    if "pooling_mode" in declared:
        chosen, other = [_NAMES.get(str(declared["pooling_mode"]), "")], []
    if len(chosen) != 1 or not chosen[0] or set(other) - set(_POOLINGS):
        raise InputError(
            f"{folder.path / path / 'config.json'}: declares a pooling other than cls, mean or last token; use "
            f"another model, or state pooling in the features entry"
        )
    return chosen[0]


def _max_tokens(folder: ModelFolder) -> int | None:
    file = "sentence_bert_config.json"
    most = folder.read_json(file).get("max_seq_length")
    if most is not None and not (isinstance(most, int) and most > 0):
        raise InputError(
            f"{folder.path / file}: max_seq_length {str(most)[:40]} is no length; fetch the model again"
        )
    return most


def _default_prompt(declared: Mapping[str, Any]) -> str:
    name, prompts = declared.get("default_prompt_name"), declared.get("prompts")
    return str(prompts.get(name, "")) if isinstance(name, str) and isinstance(prompts, Mapping) else ""


def load_projection(folder: ModelFolder, path: str) -> "Module":
    """A dense layer with its activation; weights from `model.safetensors`."""
    from safetensors.torch import load_file
    from torch import nn

    declared = folder.read_json(f"{path}/config.json")
    activation = str(declared.get("activation_function", "Identity")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise InputError(
            f"{folder.path / path / 'config.json'}: activation {activation} is not known; use another model"
        )

    def linear() -> nn.Linear:
        weights = load_file(folder.path / path / "model.safetensors")
        # The shape is that of the weights that are there, so a file cannot ask for more memory than it has itself.
        width = tuple(reversed(weights["linear.weight"].shape))
        if width != (declared.get("in_features"), declared.get("out_features")):
            raise ValueError(f"its weights are of shape {width}, which {path}/config.json does not say")
        layer = nn.Linear(*width, bias="linear.bias" in weights)
        layer.load_state_dict({name.removeprefix("linear."): tensor for name, tensor in weights.items()})
        return layer

    return nn.Sequential(folder.open("a dense layer", linear), getattr(nn, activation)())
