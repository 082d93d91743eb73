"""What `mrs bench extract` measures: extraction of a dataset's texts and pictures by transformers of a given size.

How things are measured is `encoders.bench`. Where no model is given, ones with random weights are saved in the real
file layout: speed and memory depend on the shape of a network, not on what it has learned. Speed is told for the shapes
of the small encoders that people begin with; memory by size, which takes a whole large catalogue, for a smaller one.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import TypeAdapter

from mrs_pipeline.bench.extraction import bench_extract, bench_memory, bench_sorting
from mrs_pipeline.bench.precisions import bench_precisions, can_measure_recall, recall_by_precision
from mrs_pipeline.encoders.automatic import preferred_encoder
from mrs_pipeline.encoders.image_transformer import ImageTransformerOptions
from mrs_pipeline.encoders.options import EncoderOptions, NetworkOptions, feature_set_name
from mrs_pipeline.encoders.registry import FeatureOptions
from mrs_pipeline.encoders.text_transformer import TextTransformerOptions
from mrs_pipeline.errors import InputError
from mrs_pipeline.tasks.files import engine_settings
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.taxonomy import Modality

SAMPLED_ITEMS: Final = 512
"""Items whose decoded content is held for the bare forward pass."""
_ENTRY: Final[TypeAdapter[EncoderOptions]] = TypeAdapter(FeatureOptions)
FEW: Final = 1_000
"""Items that the peak memory of many is held against."""


def _shape(layers: int, width: int, heads: int) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }


_MINILM: Final = _shape(6, 384, 12)
"""all-MiniLM-L6-v2."""
_VIT_SMALL: Final = _shape(12, 384, 6)
"""ViT-S/16, DeiT-S and, but for the patch, DINOv2-S."""
_SMALL: Final = _shape(4, 256, 4)
"""Of texts, where memory alone is looked at."""
_WORDS: Final = 8_000
_SPECIAL: Final = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]"}


def bench_extraction(
    stage: Stage, *, text_model: Path | None, image_model: Path | None, n_items: int
) -> pl.DataFrame:
    """Engine against bare forward pass, sorted against unsorted texts, memory by size, precisions and their recall.

    Args:
        stage: the dataset whose raw items are encoded; nothing need be materialised, but recall is measured at the
            stage's window only if that has been run.
        text_model: folder of a text model; one with random weights if None.
        image_model: the same for pictures.
        n_items: rows of the large catalogue, made by repeating the items.

    Returns:
        feature_set, measure, items, value: a row a number.
    """
    items = _items(stage)
    trained = _trained(text_model, image_model)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(_texts(stage, items, text_model or _random_bert(items, Path(folder) / "text", _MINILM)))
        pictured = _with_content(items, Modality.IMAGE)
        if len(pictured):
            rows += _pictures(stage, pictured, image_model or _random_vit(Path(folder) / "image"))
        small = text_model or _random_bert(items, Path(folder) / "small", _SMALL)
        rows += _memory(stage, items, small, n_items)
        rows += _precisions(stage, items, trained or [_text_options(small)])
    schema = {"feature_set": pl.String, "measure": pl.String, "items": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


_Row = tuple[str, str, int, float]


def _text_options(model: Path) -> TextTransformerOptions:
    return TextTransformerOptions(
        modality=Modality.TEXT, encoder="transformer", model=str(model), pooling="mean", prefix=""
    )


def _texts(stage: Stage, items: pl.DataFrame, model: Path) -> Iterator[_Row]:
    options = _text_options(model)
    yield from _engine(stage, options, items)
    settings, root = engine_settings(stage), source_of(stage).root
    sorting = bench_sorting(options, _numbered(items.head(SAMPLED_ITEMS)), root, settings)
    yield sorting.name, "sorted batches, texts a second", sorting.items, sorting.sorted_per_second
    yield sorting.name, "unsorted batches, texts a second", sorting.items, sorting.unsorted_per_second
    yield sorting.name, "sorted / unsorted", sorting.items, sorting.speedup


def _trained(text_model: Path | None, image_model: Path | None) -> list[NetworkOptions]:
    """The encoders with trained weights: those of the models that are given, else those that are installed."""
    texts = {"modality": "text", "encoder": preferred_encoder(Modality.TEXT)}
    pictures = {"modality": "image", "encoder": preferred_encoder(Modality.IMAGE)}
    found = [
        _text_options(text_model) if text_model else _ENTRY.validate_python(texts),
        _image_options(image_model) if image_model else _ENTRY.validate_python(pictures),
    ]
    return [options for options in found if isinstance(options, NetworkOptions)]


def _precisions(stage: Stage, items: pl.DataFrame, encoders: Sequence[NetworkOptions]) -> Iterator[_Row]:
    """Each encoder in each precision; what models make of the vectors, where the dataset has been run."""
    settings, root = engine_settings(stage), source_of(stage).root
    encoders = [each for each in encoders if len(_with_content(items, each.modality))]
    for options in encoders:
        sampled = _numbered(_with_content(items, options.modality).head(SAMPLED_ITEMS))
        measured = bench_precisions(options, sampled, root, settings)
        for row in measured:
            yield row.name, f"{row.precision}, items a second", row.items, row.per_second
        for row in measured[1:]:
            yield row.name, f"{row.precision} / float32", row.items, row.per_second / measured[0].per_second
            yield row.name, f"{row.precision}, cosine to float32, mean", row.items, row.cosine_mean
            yield row.name, f"{row.precision}, cosine to float32, least", row.items, row.cosine_min
    if can_measure_recall(stage):
        metric = stage.config.evaluation.select_on
        names = " and ".join(feature_set_name(each) for each in encoders)
        for model, precision, present, score in recall_by_precision(stage, encoders):
            yield names, f"{precision}, {model}, validation {metric}", present, score


def _with_content(items: pl.DataFrame, modality: Modality) -> pl.DataFrame:
    """The items with content of a modality; all that come here have a text."""
    if modality == Modality.TEXT:
        return items
    return items.filter(pl.col("image").is_not_null()) if "image" in items.columns else items.clear()


def _memory(stage: Stage, items: pl.DataFrame, model: Path, n_items: int) -> Iterator[_Row]:
    settings, root = engine_settings(stage), source_of(stage).root
    for size in (FEW, n_items):
        memory = bench_memory(_text_options(model), _numbered(items), root, size, settings)
        yield memory.name, "peak memory MB", memory.items, memory.peak_memory_mb


def _pictures(stage: Stage, items: pl.DataFrame, model: Path) -> Iterator[_Row]:
    yield from _engine(stage, _image_options(model), items)


def _image_options(model: Path) -> ImageTransformerOptions:
    return ImageTransformerOptions(
        modality=Modality.IMAGE, encoder="transformer", model=str(model), pooling="mean"
    )


def _engine(stage: Stage, options: EncoderOptions, items: pl.DataFrame) -> Iterator[_Row]:
    found = bench_extract(
        options, _numbered(items.head(SAMPLED_ITEMS)), source_of(stage).root, engine_settings(stage)
    )
    yield found.name, "bare forward pass, items a second", found.items, found.bare_per_second
    yield found.name, "engine, items a second", found.items, found.engine_per_second
    yield found.name, "engine / bare", found.items, found.share


def _items(stage: Stage) -> pl.DataFrame:
    """The raw items that have a text."""
    with stage.lake.connect() as con:
        items: pl.DataFrame = con.sql(source_of(stage).items_sql(con)).pl()
    columns = [name for name in ("title", "description") if name in items.columns]
    described = items.filter(pl.any_horizontal(pl.col(columns).is_not_null())) if columns else items.clear()
    if described.is_empty():
        raise InputError(
            f"{stage.config.name} has no texts to encode; name a dataset whose items have titles"
        )
    return described.sort("item_id")


def _numbered(items: pl.DataFrame) -> pl.DataFrame:
    return items.with_columns(item=pl.int_range(pl.len(), dtype=pl.Int64))


def _random_bert(items: pl.DataFrame, into: Path, shape: dict[str, Any]) -> Path:
    """A BERT whose vocabulary are the most frequent words of the items' texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    texts = items.select(pl.concat_str("title", "description", separator=" ", ignore_nulls=True)).to_series()
    words = texts.str.to_lowercase().str.extract_all(r"\w+|[^\w\s]+").explode().drop_nulls()
    frequent = words.value_counts(sort=True).head(_WORDS)[words.name].to_list()
    vocabulary = {word: at for at, word in enumerate([*_SPECIAL.values(), *frequent])}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, _SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    named: dict[str, Any] = {f"{name}_token": token for name, token in _SPECIAL.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(into)  # type: ignore[no-untyped-call]
    with _quiet():
        BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(into)
    return into


def _random_vit(into: Path) -> Path:
    """A ViT for 224 pixels."""
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(into)
    with _quiet():
        ViTModel(ViTConfig(image_size=224, patch_size=16, **_VIT_SMALL)).save_pretrained(into)
    return into


@contextmanager
def _quiet() -> Iterator[None]:
    """The library draws a bar for each file it writes."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]
