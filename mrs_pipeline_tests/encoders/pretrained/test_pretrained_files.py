"""Where weights come from, what is refused, and what a fingerprint depends on."""

import json
import shutil

import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def open_text(parse, tmp_path):
    def _open(settings=None, **entry):
        entry.setdefault("pooling", "mean")
        return open_encoder(parse(modality="text", encoder="transformer", **entry), tmp_path, settings)

    return _open


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of a tiny model that a test may damage."""

    def _copy(kind="bert", to="copy"):
        return shutil.copytree(tiny(kind), tmp_path / to)

    return _copy


@pytest.fixture
def no_hub(monkeypatch):
    """The hub is out of reach; records what was asked."""
    import huggingface_hub

    asked = []

    def snapshot_download(model, **how):
        asked.append((model, how))
        raise FileNotFoundError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_a_hub_model_needs_its_full_commit(parse):
    entry = {"modality": "text", "encoder": "transformer", "pooling": "mean", "model": "org/model"}
    with pytest.raises(ValidationError, match="full 40-digit commit"):
        parse(**entry)
    with pytest.raises(ValidationError):
        parse(**entry, revision="main")
    assert parse(**entry, revision=REVISION).revision == REVISION


def test_offline_says_which_folder_to_fill_and_how(open_text, no_hub, tmp_path):
    encoder = open_text(EngineSettings(pretrained=tmp_path / "kept"), model="org/model", revision=REVISION)
    with pytest.raises(InputError) as caught:
        encoder.check_settings()
    sentence = str(caught.value)
    assert f"hf download org/model --revision {REVISION} --local-dir" in sentence
    assert str(tmp_path / "kept" / "org" / "model") in sentence
    assert "no route to the hub" in sentence
    assert [how["local_files_only"] for _, how in no_hub] == [True, False]
    assert all(how["revision"] == REVISION for _, how in no_hub)
    assert not any("bin" in pattern or "py" in pattern for pattern in no_hub[0][1]["allow_patterns"])


def test_the_kept_folder_is_found_without_the_hub(open_text, no_hub, copy, tmp_path):
    copy(to="kept/org/model")
    encoder = open_text(EngineSettings(pretrained=tmp_path / "kept"), model="org/model", revision=REVISION)
    assert encoder.dimensions == 16
    assert no_hub == []


def test_environment_variables_in_paths(open_text, tiny, monkeypatch):
    monkeypatch.setenv("MODELS_HERE", str(tiny("bert").parent))
    assert open_text(model=f"$MODELS_HERE/{tiny('bert').name}").dimensions == 16


def test_an_empty_folder_says_what_belongs_there(open_text, tmp_path):
    with pytest.raises(InputError, match=r"holds no config.json; put the model's files"):
        open_text(model=str(tmp_path)).check_settings()


def test_the_fingerprint_is_of_content_not_of_place(open_text, copy):
    one, two = copy(to="one"), copy(to="two")
    assert open_text(model=str(one)).fingerprint == open_text(model=str(two), batch_tokens=7).fingerprint
    assert (
        open_text(model=str(one)).fingerprint != open_text(model=str(one), precision="bfloat16").fingerprint
    )
    assert open_text(model=str(one)).fingerprint != open_text(model=str(one), pooling="cls").fingerprint
    before = open_text(model=str(two)).fingerprint
    weights = bytearray((two / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (two / "model.safetensors").write_bytes(weights)
    assert open_text(model=str(two)).fingerprint != before


def test_pickled_weights_are_not_read(open_text, copy):
    folder = copy()
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"weights \(model.safetensors\)"):
        _ = open_text(model=str(folder)).dimensions


def test_weights_that_lack_a_tensor_are_refused(open_text, copy):
    from safetensors.torch import load_file, save_file

    folder = copy()
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack .*output\.dense\.weight"):
        _ = open_text(model=str(folder)).dimensions


def test_weights_without_an_unused_pooler_are_fine(open_text, copy):
    from safetensors.torch import load_file, save_file

    folder = copy()
    weights = {
        name: tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
        if "pooler" not in name
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert open_text(model=str(folder)).dimensions == 16


def test_damaged_weights_are_refused(open_text, copy):
    folder = copy()
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(InputError, match="cannot be loaded"):
        _ = open_text(model=str(folder)).dimensions


def test_code_that_comes_with_a_model_is_never_run(open_text, copy):
    folder = copy()
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "invented"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="brings code of its own, which is never run"):
        _ = open_text(model=str(folder)).dimensions
    assert not (folder / "ran").exists()


def test_a_damaged_settings_file_is_named(open_text, copy):
    folder = copy()
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json:1: this is not JSON"):
        open_text(model=str(folder)).check_settings()


def test_a_missing_tokenizer_is_named(open_text, copy):
    folder = copy()
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(InputError, match="holds no tokenizer"):
        _ = open_text(model=str(folder)).dimensions


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU where there is none")
def test_an_absent_gpu_is_said(open_text, tiny):
    with pytest.raises(InputError, match="finds no CUDA GPU"):
        _ = open_text(EngineSettings(device="cuda"), model=str(tiny("bert"))).dimensions


def test_half_precision_on_a_cpu_is_refused(open_text, tiny):
    with pytest.raises(InputError, match="needs a GPU"):
        _ = open_text(EngineSettings(device="cpu"), model=str(tiny("bert")), precision="float16").dimensions


def test_the_tokenizer_of_another_model_is_refused(open_text, copy):
    folder = copy()
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"word{at}": 100 + at for at in range(50)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match="belong to different models"):
        _ = open_text(model=str(folder)).dimensions


@pytest.mark.parametrize(
    ("modality", "kind", "what"), [("image", "vit", "image processor"), ("audio", "ast", "feature extractor")]
)
def test_missing_preprocessing_is_named(parse, copy, tmp_path, modality, kind, what):
    folder = copy(kind)
    (folder / "preprocessor_config.json").unlink()
    entry = {"modality": modality, "encoder": "transformer", "model": str(folder), "pooling": "cls"}
    with pytest.raises(InputError, match=what):
        open_encoder(parse(**entry), tmp_path).loader()
