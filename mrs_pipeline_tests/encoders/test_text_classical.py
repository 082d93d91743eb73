import numpy as np
import pytest

from mrs_pipeline.encoders.base import require_columns
from mrs_pipeline.encoders.texts import joined_text
from mrs_pipeline.errors import InputError

CATS = ["cats purr softly", "a cat and cats purr", "kittens and cats purr", "cats nap and purr"]
CARS = ["fast cars race", "cars race at night", "race cars and engines", "cars with engines race"]


def test_columns_are_joined_and_empty_ones_left_out(parse, catalogue):
    items = catalogue(title=["A", " ", None, "D"], description=["x", "y", None, ""])
    options = parse(modality="text", encoder="tfidf_svd")
    assert joined_text(options, items).to_list() == ["A\nx", "y", None, "D"]


def test_long_texts_are_cut(parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"], max_characters=5)
    assert joined_text(options, catalogue(title=["x" * 10**6]))[0] == "xxxxx"


def test_a_missing_column_is_named_with_the_remedy(parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title", "plot"])
    with pytest.raises(InputError, match=r"'plot'.*item_id, title"):
        require_columns(options, catalogue(title=["a"]), options.columns)


def test_texts_on_one_subject_are_nearer_than_others(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", dimensions=4, columns=["title"])
    report = shop.extract(options, catalogue(title=CATS + CARS))
    similarity = shop.matrix() @ shop.matrix().T
    assert report.present == 8
    assert similarity[:4, :4].min() > similarity[:4, 4:].max() + 0.3
    assert np.allclose(np.linalg.norm(shop.matrix(), axis=1), 1, atol=1e-6)


def test_the_same_corpus_gives_the_same_matrix_to_the_bit(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", dimensions=3, columns=["title"])
    items = catalogue(title=CATS + CARS)
    shop.extract(options, items, "one")
    shop.extract(options, items, "two")
    assert np.array_equal(shop.matrix("one"), shop.matrix("two"))


def test_a_vocabulary_smaller_than_the_dimensions_gives_fewer(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", dimensions=128, columns=["title"], min_items=1)
    report = shop.extract(options, catalogue(title=["red wine", "white wine", "red", None]))
    assert report.dimensions == 3
    assert (report.present, report.missing) == (3, 1)


@pytest.mark.parametrize("texts", [["wine"], ["wine", "wine", "wine"], ["only one item"]])
def test_tiny_corpora_work(shop, parse, catalogue, texts):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"])
    assert shop.extract(options, catalogue(title=texts)).present == len(texts)


def test_texts_without_any_term_are_refused_with_a_sentence(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"])
    with pytest.raises(InputError, match="finds no term in the columns title of 2 items"):
        shop.extract(options, catalogue(title=["!", "?"]))


def test_languages_without_spaces_have_an_analyzer(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"], analyzer="char_wb", dimensions=4)
    shop.extract(options, catalogue(title=["红葡萄酒", "红葡萄", "白葡萄酒", "高速赛车", "赛车"]))
    similarity = shop.matrix() @ shop.matrix().T
    assert similarity[0, 1] > similarity[0, 3]


def test_a_text_outside_the_vocabulary_fails_and_is_masked(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"], dimensions=3)
    report = shop.extract(options, catalogue(title=[*CATS, "zzz"]))
    assert [(row.item, row.item_id, row.modality, row.path) for row in report.failed] == [
        (4, "i4", "text", "zzz")
    ]
    assert not shop.present()[4]
    assert not shop.matrix()[4].any()


def test_a_new_text_changes_the_fitted_fingerprint(shop, parse, catalogue):
    options = parse(modality="text", encoder="tfidf_svd", columns=["title"], dimensions=3)
    one = shop.extract(options, catalogue(title=CATS), "one")
    two = shop.extract(options, catalogue(title=[*CATS, "cats purr"]), "two")
    assert one.fingerprint != two.fingerprint
