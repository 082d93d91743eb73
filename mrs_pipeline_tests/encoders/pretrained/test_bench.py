"""The benches measure what they say; no speed is asserted."""

import pytest

from mrs_pipeline.bench.extraction import bench_extract, bench_memory, bench_sorting
from mrs_pipeline.encoders.settings import EngineSettings

INLINE = EngineSettings(workers=0)


def test_engine_against_bare_forward(shop, parse, catalogue):
    items = catalogue(image=[*shop.pictures(6), "absent.png", None])
    row = bench_extract(parse(modality="image", encoder="color_gradient"), items, shop.media, INLINE).to_row()
    assert row["name"] == "image_color_gradient"
    assert row["items"] == 6
    assert row["share"] == pytest.approx(row["engine_per_second"] / row["bare_per_second"])
    assert row["bare_per_second"] > 0


def test_a_fitted_encoder_is_fitted_first(shop, parse, catalogue):
    items = catalogue(title=["red wine", "white wine", "red car", "fast car"])
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"])
    assert bench_extract(options, items, shop.media, INLINE).items == 4


def test_sorted_and_unsorted_texts(shop, parse, catalogue, tiny):
    items = catalogue(title=["wine " * (1 + at % 20) for at in range(64)])
    options = parse(
        modality="text",
        encoder="transformer",
        model=str(tiny("bert")),
        pooling="mean",
        columns=["title"],
        batch_size=8,
    )
    result = bench_sorting(options, items, shop.media, INLINE)
    assert result.items == 64
    assert result.speedup == pytest.approx(result.sorted_per_second / result.unsorted_per_second)


def test_memory_is_that_of_the_size_asked_for(shop, parse, catalogue):
    items = catalogue(image=shop.pictures(3))
    options = parse(modality="image", encoder="color_gradient", size=32)
    result = bench_memory(options, items, shop.media, 10, INLINE)
    assert result.items == 10
    assert result.peak_memory_mb > 50
