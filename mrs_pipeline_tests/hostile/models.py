# ruff: noqa: E501 - a case a line
"""Hostile models: saved models, checkpoints, manifests, and folders of pretrained weights."""

import io
import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file

from mrs_pipeline import Dataset, fit, load
from mrs_pipeline.encoders.registry import FeatureOptions, open_encoder
from mrs_pipeline.storage.artifacts import MANIFEST, ArtifactStore
from mrs_pipeline.storage.pages import manifest_path, read_page
from mrs_pipeline.training.checkpoint import CHECKPOINT, checkpoint_fault
from mrs_pipeline_tests.hostile.case import CANARY, Case, Executes, hostile_pickle
from mrs_pipeline_tests.hostile.tables import put

KIND = "models"
DEEP = "[" * 100_000 + "]" * 100_000


@cache
def saved_model() -> Path:
    """A healthy saved model of a few users and items."""
    rows = {"user": [user for user in range(8) for _ in range(5)], "item": [(3 * n) % 10 for n in range(40)]}
    data = Dataset.of(pl.DataFrame(rows), user="user", item="item").split("random", seed=1)
    folder = Path(tempfile.mkdtemp(prefix="hostile-model-")) / "saved"
    fit(data, "bpr_mf", training={"epochs": 1}, embedding_size=4).save(folder)
    return folder


@cache
def network() -> Path:
    """A healthy folder of a tiny language model."""
    import transformers as hf

    hf.logging.set_verbosity_error()  # its handler keeps the stream of the test that loaded it
    folder = Path(tempfile.mkdtemp(prefix="hostile-network-")) / "bert"
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    hf.BertModel(hf.BertConfig(vocab_size=16, max_position_embeddings=8, **sizes)).save_pretrained(folder)
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijk"])
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return folder


def saved(name: str, content: str | bytes | Callable[[bytes], bytes] | None) -> Callable[[Path], None]:
    """A saved model with one file replaced, or gone, loaded."""

    def meets(root: Path) -> None:
        folder = Path(shutil.copytree(saved_model(), root / "saved"))
        _replace(folder, name, content)
        load(folder)

    return meets


def pretrained(
    name: str, content: str | bytes | Callable[[bytes], bytes] | None, **more: str | bytes
) -> Callable[[Path], None]:
    """A folder of pretrained weights with files replaced, or gone, used on a text."""

    def meets(root: Path) -> None:
        folder = Path(shutil.copytree(network(), root / "network"))
        _replace(folder, name, content)
        for other, text in more.items():
            put(folder, other.replace("__", "/").replace("_json", ".json").replace("_py", ".py"), text)
        entry = {"modality": "text", "encoder": "transformer", "model": str(folder)}
        pooling = {} if (folder / "modules.json").exists() else {"pooling": "mean"}
        encoder = open_encoder(TypeAdapter(FeatureOptions).validate_python(entry | pooling), root)
        encoder.check_settings()
        encoder.encode(encoder.arrange(["a b"]))

    return meets


def artifact(content: str | bytes) -> Callable[[Path], None]:
    """The manifest of a feature set, read."""

    def meets(root: Path) -> None:
        put(root, f"features/shop/full/x/{MANIFEST}", content)
        ArtifactStore(root / "features").read("shop", "full", "x")

    return meets


def page(content: str) -> Callable[[Path], None]:
    def meets(root: Path) -> None:
        put(root, "report.html", "<html>")
        put(root, manifest_path(root / "report.html").name, content)
        read_page(root / "report.html")

    return meets


def checkpoint(content: bytes) -> Callable[[Path], str | None]:
    """What is recorded of the checkpoint of an unfinished training, which then starts afresh."""

    def meets(root: Path) -> str | None:
        put(root, CHECKPOINT, content)
        reason = checkpoint_fault(root / CHECKPOINT)
        return f"{CHECKPOINT} {reason}" if reason else None

    return meets


def config(**changes: Any) -> Callable[[bytes], bytes]:
    """The JSON file with some keys changed; None takes a key out."""

    def changed(content: bytes) -> bytes:
        facts = json.loads(content) | changes
        return json.dumps({key: value for key, value in facts.items() if value is not None}).encode()

    return changed


def tensors(**values: torch.Tensor) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_file(values, Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


def reshaped(content: bytes) -> bytes:
    """The same names, another width."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_bytes(content)
        found = load_file(Path(folder) / "x")
    return tensors(**{name: torch.zeros(3, 7) for name in found})


def torch_file() -> bytes:
    """What `torch.save` writes: a pickle in an archive, here one that runs a command."""
    stream = io.BytesIO()
    torch.save({"weight": Executes()}, stream)
    return stream.getvalue()


def header(text: str, size: int | None = None) -> bytes:
    """A safetensors file whose header says this."""
    return struct.pack("<Q", len(text) if size is None else size) + text.encode()


HUGE = header('{"a":{"dtype":"F32","shape":[1000000000,1000],"data_offsets":[0,4000000000000]}}')
FAR = header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[9,1]}}')
CUT = tensors(a=torch.ones(100))[:-50]
DENSE = json.dumps({"in_features": 10**6, "out_features": 10**6, "activation_function": "torch.nn.Tanh"})
MODULES = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
POOLING = json.dumps({"pooling_mode_mean_tokens": True})


def modules(*parts: tuple[str, str]) -> str:
    return json.dumps(
        [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in parts]
    )


REMOTE = {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}, "model_type": "evil"}
EVIL = f"import os\nos.system('touch {CANARY}')\n"

CASES = tuple(
    Case(KIND, name, meets, says)
    for name, meets, says in (
        ("saved: no facts", saved("model.json", None), "holds no saved model"),
        ("saved: facts that are a list", saved("model.json", "[]"), "model.json: this holds a list"),
        ("saved: facts nested 100,000 deep", saved("model.json", DEEP), "model.json"),
        ("saved: facts in noise", saved("model.json", bytes(range(128, 256))), "is not UTF-8 text"),
        ("saved: facts of another format", saved("model.json", config(format=99)), "of another version"),
        ("saved: a model that is not installed", saved("model.json", config(model="evil", package="evil")), "pip install evil"),
        ("saved: config.json that is a list", saved("config.json", "[1]"), "config.json: this holds a list"),
        ("saved: config.json that is a text", saved("config.json", '"a"'), "config.json: this holds a text"),
        ("saved: config.json that is gone", saved("config.json", None), "config.json is missing"),
        ("saved: config.json that is cut", saved("config.json", '{"model":'), "config.json:1: this is not JSON"),
        ("saved: config.json without a seed", saved("config.json", config(seed=None)), "lacks 'seed'"),
        ("saved: config.json of an unknown model", saved("config.json", config(model="os.system")), "os.system"),
        ("saved: a setting that is none", saved("config.json", config(config={"embedding_size": "rm -rf"})), "embedding_size"),
        ("saved: an embedding of a trillion", saved("config.json", config(config={"embedding_size": 10**12})), "embedding_size"),
        ("saved: other numbers of users", saved("config.json", config(n_users=10**9)), "was trained on 1000000000 users"),
        ("saved: a seed that is a text", saved("config.json", config(seed="x")), "seed"),
        ("saved: weights that are gone", saved("weights.safetensors", None), "weights.safetensors"),
        ("saved: weights in noise", saved("weights.safetensors", bytes(range(256))), "does not hold this model's weights"),
        ("saved: weights that are a pickle", saved("weights.safetensors", hostile_pickle()), "does not hold"),
        ("saved: weights that torch.save wrote", saved("weights.safetensors", torch_file()), "does not hold"),
        ("saved: weights that are cut", saved("weights.safetensors", lambda data: data[:-9]), "does not hold"),
        ("saved: weights of another shape", saved("weights.safetensors", reshaped), "does not hold"),
        ("saved: weights of other names", saved("weights.safetensors", tensors(evil=torch.ones(2))), "does not hold"),
        ("saved: a header of 8 EB", saved("weights.safetensors", header("{}", 2**63 - 1)), "does not hold"),
        ("saved: weights of 4 TB that are not there", saved("weights.safetensors", HUGE), "does not hold"),
        ("saved: weights that lie before their start", saved("weights.safetensors", FAR), "does not hold"),
        ("saved: users that are no table", saved("users.parquet", b"PAR1PAR1"), "users.parquet is missing or damaged"),
        ("saved: rows that are no table", saved("interactions.parquet", b"x"), "interactions.parquet is missing or damaged"),
        ("saved: rows of another table", saved("interactions.parquet", lambda _: _parquet(a=[1])), "interactions.parquet"),
        ("saved: rows of users that there are not", saved("interactions.parquet", lambda _: _parquet(user=[10**6], item=[0], split=["train"])), "interactions.parquet"),
        ("saved: arrays in noise", saved("arrays.safetensors", bytes(99)), "arrays.safetensors is missing or damaged"),
        ("saved: arrays without their parts", saved("arrays.safetensors", lambda _: tensors(**{"features:text:values": torch.ones(10, 2)})), "arrays.safetensors"),
        ("saved: a graph that fits no items", saved("arrays.safetensors", lambda _: _graph()), "arrays.safetensors"),
        ("checkpoint: noise", checkpoint(bytes(range(256))), "cannot be read"),
        ("checkpoint: nothing in it", checkpoint(b""), "cannot be read"),
        ("checkpoint: a pickle", checkpoint(hostile_pickle()), "cannot be read"),
        ("checkpoint: cut", checkpoint(CUT), "cannot be read"),
        ("checkpoint: without a digest", checkpoint(tensors(a=torch.ones(3))), "is not what was written"),
        ("manifest: a list", artifact("[]"), "this holds a list"),
        ("manifest: nested 100,000 deep", artifact(DEEP), "was not written by mrs"),
        ("manifest: nothing in it", artifact(""), "was not written by mrs"),
        ("manifest: noise", artifact(bytes(range(128, 256))), "is not UTF-8 text"),
        ("manifest: an object of other keys", artifact('{"a": 1}'), "was not written by mrs"),
        ("manifest: a digest that leads elsewhere", artifact('{"name": "x", "digest": "../../../etc", "provenance": {"code_version": "", "upstream": {}}, "facts": {}}'), "was not written by mrs"),
        ("manifest: of a page, a number", page("42"), "was not written by mrs"),
        ("network: config.json that is a list", pretrained("config.json", "[]"), "config.json: this holds a list"),
        ("network: config.json nested 100,000 deep", pretrained("config.json", DEEP), "config.json"),
        ("network: config.json that is gone", pretrained("config.json", None), "holds no config.json"),
        ("network: code of its own", pretrained("config.json", config(**REMOTE), evil_py=EVIL), "brings code of its own, which is never run"),
        ("network: a pickle in place of weights", pretrained("model.safetensors", None, **{"pytorch_model.bin": torch_file()}), "cannot be loaded"),
        ("network: weights in noise", pretrained("model.safetensors", bytes(range(256))), "cannot be loaded"),
        ("network: weights of another network", pretrained("model.safetensors", tensors(evil=torch.ones(2))), "lack"),
        ("network: no layers", pretrained("config.json", config(hidden_size=-8)), "network"),
        ("network: modules.json that is an object", pretrained("modules.json", "{}"), "this holds an object where a JSON list"),
        ("network: modules.json of texts", pretrained("modules.json", '["a"]'), "does not list parts"),
        ("network: a part that is not known", pretrained("modules.json", modules(MODULES[0], MODULES[1], ("9", "Evil"))), "Evil"),
        ("network: a part outside the folder", pretrained("modules.json", modules(MODULES[0], ("../../etc", "Pooling"))), "outside the folder"),
        ("network: a layer of a trillion weights", pretrained("modules.json", modules(*MODULES), **{"1_Pooling__config_json": POOLING, "2_Dense__config_json": DENSE, "2_Dense/model.safetensors": tensors(**{"linear.weight": torch.ones(2, 8)})}), "cannot be loaded"),
        ("network: a function as activation", pretrained("modules.json", modules(*MODULES), **{"1_Pooling__config_json": POOLING, "2_Dense__config_json": json.dumps({"activation_function": "os.system"})}), "activation system is not known"),
        ("network: a negative length", pretrained("modules.json", modules(*MODULES[:2]), **{"1_Pooling__config_json": POOLING, "sentence_bert_config_json": '{"max_seq_length": -5}'}), "is no length"),
    )
)  # fmt: skip


def _replace(folder: Path, name: str, content: str | bytes | Callable[[bytes], bytes] | None) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    elif callable(content):
        path.write_bytes(content(path.read_bytes()))
    else:
        put(folder, name, content)


def _parquet(**columns: list[Any]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


def _graph() -> bytes:
    parts = {"indptr": np.array([0, 99]), "indices": np.array([5]), "weights": np.ones(1, np.float32)}
    return tensors(**{f"item_graph:x:{name}": torch.from_numpy(part) for name, part in parts.items()})
