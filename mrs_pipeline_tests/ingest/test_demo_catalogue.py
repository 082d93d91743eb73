"""The demonstration catalogue: the same every time, and its planted tastes to be found in all that it holds."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline.ingest.demo import clips, market, sounds, words
from mrs_pipeline.ingest.demo.options import DEMO_FOLDER, DemoOptions
from mrs_pipeline.ingest.demo.tastes import TASTES
from mrs_pipeline.ingest.demo.writer import DEMO_MANIFEST, ensure_demo, write_demo
from mrs_pipeline.ingest.opening import open_source, source_options

SMALL = DemoOptions(users=120, items=160, seed=5)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "small"
    write_demo(SMALL, root)
    return root


@pytest.fixture(scope="module")
def records() -> market.Records:
    return market.plant_records(SMALL)


@pytest.fixture(scope="module")
def months() -> list[market.Month]:
    options = DemoOptions()
    return list(market.listen(options, market.plant_records(options), market.plant_listeners(options)))


def digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        total.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def test_the_same_seed_writes_the_same_bytes(small: Path, tmp_path: Path) -> None:
    write_demo(SMALL, tmp_path / "again")
    assert digest(tmp_path / "again") == digest(small)


def test_another_seed_writes_others() -> None:
    other = market.plant_records(SMALL.model_copy(update={"seed": 6}))
    assert not np.array_equal(other.taste, market.plant_records(SMALL).taste)


def test_it_reads_like_any_folder(small: Path, con) -> None:
    facts = open_source(source_options({"path": str(small)}), small).describe(con)
    assert facts.items == 160
    assert len(facts.files) == 12
    assert facts.timed == facts.rated == facts.rows
    for modality in ("image", "audio"):
        assert 0.8 * 160 < facts.media[modality].present < 160
        assert facts.media[modality].missing == 0
    assert (facts.media["video"].present, facts.media["video"].missing) == (20, 0)
    assert 0.8 * 160 < facts.described < 160


def test_it_is_made_when_first_read_and_again_only_if_something_changed(tmp_path: Path, con) -> None:
    def source(seed: int):
        return open_source(
            source_options({"reader": "demo", "demo": {"users": 50, "items": 40, "seed": seed}}), tmp_path
        )

    root = tmp_path / DEMO_FOLDER
    first = source(1)
    assert not root.exists(), "opening must not make anything"
    assert all(path.is_file() for path in first.files())
    made = (root / "items.csv").stat().st_mtime_ns
    source(1).describe(con)
    assert (root / "items.csv").stat().st_mtime_ns == made
    before = digest(root)
    source(2).files()
    assert digest(root) != before
    assert not list(root.parent.glob(".*.new")), "nothing is left beside it"


def test_a_half_made_catalogue_is_replaced(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    (root / "images").mkdir(parents=True)
    (tmp_path / ".demo.new" / "images").mkdir(parents=True)
    ensure_demo(DemoOptions(users=50, items=40), root)
    assert (root / DEMO_MANIFEST).is_file()


def neighbours_share_taste(vectors: np.ndarray, tastes: np.ndarray, k: int = 10) -> float:
    """Share of the k nearest items (cosine) that have the item's own taste."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    return float((tastes[nearest] == tastes[:, None]).mean())


def test_tastes_show_in_covers(small: Path, records: market.Records) -> None:
    there = np.flatnonzero(~records.missing["image"])
    histograms = []
    for number in there:
        cells = np.asarray(Image.open(small / f"images/r{number + 1:04d}.jpg").convert("RGB")) // 64
        histograms.append(np.bincount((cells @ [16, 4, 1]).ravel(), minlength=64))
    assert 0.5 < neighbours_share_taste(np.sqrt(histograms), records.taste[there]) < 0.95


def test_tastes_show_in_words(small: Path, records: market.Records) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    items = pl.read_csv(small / "items.csv")
    texts = items.select(pl.concat_str("title", "description", separator=" ", ignore_nulls=True)).to_series()
    vectors = TfidfVectorizer(stop_words="english").fit_transform(texts).toarray()
    assert 0.5 < neighbours_share_taste(vectors, records.taste) < 0.95


def test_tastes_show_in_sounds() -> None:
    styles = np.arange(96) % len(TASTES)
    rng = np.random.default_rng(0)
    loud = []
    for style in styles:
        frames = sounds.sample(rng, int(style))[:11_776].reshape(-1, 512) * np.hanning(512)
        bands = np.log1p(
            np.abs(np.fft.rfft(frames, axis=1))[:, :240].reshape(len(frames), 40, 6).mean(axis=2)
        )
        loud.append(np.concatenate([bands.mean(axis=0), bands.std(axis=0)]))
    vectors = (np.array(loud) - np.mean(loud, axis=0)) / np.std(loud, axis=0)
    assert neighbours_share_taste(vectors, styles, k=5) > 0.6


def test_tastes_show_in_clips() -> None:
    """In what moves and how fast: colours of the first frame, and how much changes from frame to frame."""
    styles = np.arange(64) % len(TASTES)
    rng = np.random.default_rng(0)
    seen = []
    for style in styles:
        frames = np.array(list(clips.frames(rng, int(style))), dtype=np.int64)
        cells = frames[0] // 64 @ [16, 4, 1]
        moved = np.abs(np.diff(frames, axis=0)).mean() / 255
        assert moved > 0
        seen.append([*np.sqrt(np.bincount(cells.ravel(), minlength=64) / cells.size), moved])
    assert neighbours_share_taste(np.array(seen), styles, k=5) > 0.6


def test_clips_are_decoded_as_they_were_drawn(small: Path, records: market.Records) -> None:
    import av

    with_clip = np.flatnonzero(~records.missing[market.CLIP])
    assert 0 < len(with_clip) <= market.CLIPS
    number = int(with_clip[0])
    drawn = list(clips.frames(market.stream(SMALL, "clips", number), int(records.style[market.CLIP][number])))
    with av.open(str(small / f"video/r{number + 1:04d}.mov")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal(drawn, shown)
    assert len(shown) == clips.FRAMES_A_SECOND * clips.SECONDS


def test_category_tells_a_part_of_the_taste(small: Path, records: market.Records) -> None:
    category = pl.read_csv(small / "items.csv")["category"].to_list()
    right = np.mean(
        [name == TASTES[taste].genre for name, taste in zip(category, records.taste, strict=True)]
    )
    assert 0.5 < right < 0.85


def test_sentences_are_whole() -> None:
    rng = np.random.default_rng(0)
    for number in range(200):
        text = words.description(rng, number % 8)
        assert "{" not in text
        assert text[0].isupper()
        assert " a e" not in text
        assert words.title(rng, number % 8)


def test_a_year_of_listening(months: list[market.Month]) -> None:
    users = np.concatenate([month.users for month in months])
    items = np.concatenate([month.items for month in months])
    assert 25_000 < len(users) < 45_000
    assert len(np.unique(users * 600 + items)) == len(users), "nobody meets a record twice"
    for number, month in enumerate(months):
        assert np.all(np.diff(month.times.astype(np.int64)) >= 0)
        assert set(month.times.astype("datetime64[M]").astype(str)) == {f"2024-{number + 1:02d}"}
        assert month.ratings.min() >= 1
        assert month.ratings.max() <= 5
    popularity = np.sort(np.bincount(items, minlength=600))[::-1]
    assert popularity[:60].sum() > 2 * popularity.sum() / 10, "popularity is skewed"


def test_nothing_is_heard_before_its_release(months: list[market.Month]) -> None:
    records = market.plant_records(DemoOptions())
    cold = []
    for number, month in enumerate(months):
        assert records.release[month.items].max() <= number
        cold.append(np.mean(records.release[month.items] == number))
    assert min(cold[1:]) > 0.05, "every month brings interactions with new records"


def test_listening_follows_tastes(months: list[market.Month]) -> None:
    options = DemoOptions()
    records, listeners = market.plant_records(options), market.plant_listeners(options)
    match = listeners.start @ records.mixture.T
    chosen = np.concatenate([match[month.users, month.items] for month in months])
    ratings = np.concatenate([month.ratings for month in months])
    assert chosen.mean() > 2 * match.mean()
    assert np.corrcoef(chosen, ratings)[0, 1] > 0.25
