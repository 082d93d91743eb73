"""Tiny models with random weights, saved in the real file layout, and media made in code."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

torch.set_num_threads(1)

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
WORDS = [
    "the",
    "a",
    "of",
    "red",
    "white",
    "wine",
    "fast",
    "car",
    "race",
    "film",
    "passage",
    ":",
    "query",
    "dark",
    "bright",
]


def _save_tokenizer(folder: Path, pad: str = "[PAD]", end: str = "[SEP]") -> None:
    """A word tokenizer; `[CLS] ... [SEP]` around each text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: at for at, word in enumerate([pad, "[CLS]", end, "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"[CLS] $A {end}", special_tokens=[("[CLS]", 1), (end, 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, cls_token="[CLS]", sep_token=end, unk_token="[UNK]"
    ).save_pretrained(folder)


def _bert(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder)
    return hf.BertModel(hf.BertConfig(vocab_size=32, max_position_embeddings=24, **SMALL))


def _roberta(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder)
    return hf.RobertaModel(
        hf.RobertaConfig(vocab_size=32, max_position_embeddings=24, pad_token_id=0, **SMALL)
    )


def _distilbert(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder)
    config = hf.DistilBertConfig(
        vocab_size=32, max_position_embeddings=24, dim=16, n_layers=1, n_heads=2, hidden_dim=16
    )
    return hf.DistilBertModel(config)


def _gpt2(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder)
    return hf.GPT2Model(hf.GPT2Config(vocab_size=32, n_positions=24, n_embd=16, n_layer=1, n_head=2))


def _t5(folder: Path) -> Any:
    import transformers as hf

    return hf.T5Model(hf.T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2))


def _vit(folder: Path) -> Any:
    import transformers as hf

    hf.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return hf.ViTModel(hf.ViTConfig(image_size=32, patch_size=8, **SMALL))


def _deit(folder: Path) -> Any:
    import transformers as hf

    size, crop = {"height": 36, "width": 36}, {"height": 32, "width": 32}
    hf.DeiTImageProcessorPil(size=size, crop_size=crop).save_pretrained(folder)
    return hf.DeiTModel(hf.DeiTConfig(image_size=32, patch_size=8, **SMALL))


def _dinov2(folder: Path) -> Any:
    import transformers as hf

    crop = {"height": 28, "width": 28}
    hf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    shape = {"image_size": 28, "patch_size": 14, "mlp_ratio": 1}
    return hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(num_register_tokens=3, **shape, **SMALL))


def _resnet(folder: Path) -> Any:
    import transformers as hf

    hf.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    return hf.ResNetModel(
        hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )


def _swin(folder: Path) -> Any:
    import transformers as hf

    hf.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    config = hf.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
    )
    return hf.SwinModel(config)


def _levit(folder: Path) -> Any:
    """Its processor scales in a way of its own, which no recipe says."""
    import transformers as hf

    crop = {"height": 32, "width": 32}
    hf.LevitImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    return hf.ViTModel(hf.ViTConfig(image_size=32, patch_size=8, **SMALL))


def _clip(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder, pad="[PAD]")
    hf.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    text = {
        "vocab_size": 32,
        "max_position_embeddings": 12,
        "eos_token_id": 2,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    vision = {"image_size": 32, "patch_size": 8}
    config = hf.CLIPConfig(
        text_config={**text, **SMALL}, vision_config={**vision, **SMALL}, projection_dim=12
    )
    return hf.CLIPModel(config)


def _siglip(folder: Path) -> Any:
    import transformers as hf

    _save_tokenizer(folder)
    hf.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    text = {"vocab_size": 32, "max_position_embeddings": 12}
    config = hf.SiglipConfig(
        text_config={**text, **SMALL}, vision_config={"image_size": 32, "patch_size": 8, **SMALL}
    )
    return hf.SiglipModel(config)


def _ast(folder: Path) -> Any:
    import transformers as hf

    hf.ASTFeatureExtractor(num_mel_bins=16, max_length=32).save_pretrained(folder)
    return hf.ASTModel(hf.ASTConfig(num_mel_bins=16, max_length=32, patch_size=8, **SMALL))


def _clap(folder: Path) -> Any:
    import transformers as hf

    hf.ClapFeatureExtractor(
        feature_size=64, sampling_rate=48_000, max_length_s=1, nb_max_samples=48_000, truncation="rand_trunc"
    ).save_pretrained(folder)
    audio = {
        "spec_size": 128,
        "patch_size": 4,
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "window_size": 4,
        "num_mel_bins": 64,
        "enable_fusion": False,
        "fusion_type": None,
    }
    text = {"vocab_size": 32, "max_position_embeddings": 24, **SMALL}
    return hf.ClapModel(hf.ClapConfig(audio_config=audio, text_config=text, projection_dim=12))


def _wav2vec2(folder: Path) -> Any:
    import transformers as hf

    hf.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return hf.Wav2Vec2Model(hf.Wav2Vec2Config(**_CONVOLUTIONS, **SMALL))


def _hubert(folder: Path) -> Any:
    import transformers as hf

    hf.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return hf.HubertModel(hf.HubertConfig(**_CONVOLUTIONS, **SMALL))


_CONVOLUTIONS = {
    "conv_dim": (8, 8),
    "conv_stride": (20, 16),
    "conv_kernel": (20, 16),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


def _whisper(folder: Path) -> Any:
    import transformers as hf

    hf.WhisperFeatureExtractor(feature_size=16, chunk_length=2).save_pretrained(folder)
    return hf.WhisperModel(
        hf.WhisperConfig(
            vocab_size=32,
            num_mel_bins=16,
            max_source_positions=100,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        )
    )


def _videomae(folder: Path) -> Any:
    import transformers as hf

    crop = {"height": 32, "width": 32}
    hf.VideoMAEImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    return hf.VideoMAEModel(hf.VideoMAEConfig(image_size=32, patch_size=8, num_frames=4, **SMALL))


def _timesformer(folder: Path) -> Any:
    import transformers as hf

    crop = {"height": 32, "width": 32}
    hf.VideoMAEImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    return hf.TimesformerModel(hf.TimesformerConfig(image_size=32, patch_size=8, num_frames=4, **SMALL))


MAKERS: dict[str, Callable[[Path], Any]] = {
    name.removeprefix("_"): maker
    for name, maker in list(globals().items())
    if name.startswith("_") and callable(maker) and not name.startswith(("__", "_save"))
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of an architecture, made on first use."""
    made: dict[str, Path] = {}

    def _tiny(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            torch.manual_seed(0)
            MAKERS[kind](folder).eval().save_pretrained(folder)
            made[kind] = folder
        return made[kind]

    return _tiny


@pytest.fixture(autouse=True)
def plain_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bfloat16: numbers here are those of float32 on every machine."""
    monkeypatch.setattr("mrs_pipeline.encoders.network.best_precision", lambda device: "float32")


@pytest.fixture
def sentence_folder(tiny: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A BERT in the sentence-transformers layout with the given pooling and, if wanted, a dense layer."""
    import shutil

    def _folder(pooling: str = "pooling_mode_mean_tokens", dense: bool = False, **rest: Any) -> Path:
        folder = tmp_path / "sentences"
        shutil.copytree(tiny("bert"), folder)
        parts = [("Transformer", ""), ("Pooling", "1_Pooling")]
        (folder / "1_Pooling").mkdir()
        modes = {"pooling_mode_mean_tokens": False, "word_embedding_dimension": 16, pooling: True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
        if dense:
            from safetensors.torch import save_file

            parts.append(("Dense", "2_Dense"))
            (folder / "2_Dense").mkdir()
            generator = torch.Generator().manual_seed(1)
            weights = {
                "linear.weight": torch.randn(8, 16, generator=generator),
                "linear.bias": torch.randn(8, generator=generator),
            }
            save_file(weights, folder / "2_Dense" / "model.safetensors")
            declared = {
                "in_features": 16,
                "out_features": 8,
                "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh",
            }
            (folder / "2_Dense" / "config.json").write_text(json.dumps(declared))
        parts.append(("Normalize", f"{len(parts)}_Normalize"))
        modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in parts]
        (folder / "modules.json").write_text(json.dumps(modules))
        for name, content in rest.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return folder

    return _folder


@pytest.fixture(scope="session")
def tone() -> Callable[..., bytes]:
    """A clip of a tone as the bytes of an audio file."""

    def _tone(
        seconds: float = 1.0, hertz: float = 440.0, rate: int = 16_000, kind: str = "WAV", channels: int = 1
    ) -> bytes:
        wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
        buffer = io.BytesIO()
        soundfile.write(buffer, np.repeat(wave[:, None], channels, axis=1), rate, format=kind)
        return buffer.getvalue()

    return _tone


@pytest.fixture(scope="session")
def clip() -> Callable[..., None]:
    """Saves a video that fades from one colour to another."""

    def _clip(
        path: Path,
        frames: int = 20,
        fps: int = 10,
        colors: tuple[tuple[int, int, int], tuple[int, int, int]] = ((250, 0, 0), (0, 0, 250)),
        codec: str = "mpeg4",
    ) -> None:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=fps)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for at in range(frames):
                share = at / max(frames - 1, 1)
                color = np.asarray(colors[0]) * (1 - share) + np.asarray(colors[1]) * share
                image = Image.new("RGB", (64, 48), tuple(int(part) for part in color))
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode())

    return _clip
