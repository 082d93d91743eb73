"""The engine with encoders of a few lines: counts, incremental work, resuming, files."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.encoders.base import Encoder, Surroundings
from mrs_pipeline.encoders.engine import extract_with
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import PreviousExtraction
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.errors import InputError


class Lengths(Encoder):
    """A text becomes its length and its first letter. Counts its calls; dies on the text `boom`."""

    dimensions = 2

    def __init__(self, options, code=""):
        super().__init__(options, Surroundings(Path(), EngineSettings(code=code)))
        self.calls = []

    def references(self, items):
        return joined_text(self.options, items)

    def loader(self):
        return TextLoader()

    def encode(self, payloads):
        if "boom" in payloads:
            raise RuntimeError("boom")
        self.calls.append(list(payloads))
        return np.array([[len(text), ord(text[0])] for text in payloads], dtype=np.float32)

    @property
    def seen(self):
        return sorted(text for call in self.calls for text in call)


@pytest.fixture
def options(parse):
    return parse(modality="text", encoder="tfidf_svd", columns=["title"], batch_size=3)


SETTINGS = EngineSettings(workers=0, chunk_items=4)


def go(options, items, directory, **rest):
    """Extract with a fresh `Lengths`; the encoder and the report."""
    encoder = Lengths(options, rest.pop("code", ""))
    return encoder, extract_with(encoder, items, directory, **{"settings": SETTINGS, **rest})


def files_digest(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


TITLES = ["a", "bb", None, "dddd", "e", "ff", "ggg", "", "i", "jj"]


def test_every_row_lands_in_its_place(options, catalogue, tmp_path):
    encoder, report = go(options, catalogue(title=TITLES), tmp_path)
    expected = [[len(t), ord(t[0])] if t else [0, 0] for t in TITLES]
    assert np.load(tmp_path / "matrix.npy").tolist() == expected
    assert np.load(tmp_path / "present.npy").tolist() == [bool(t) for t in TITLES]
    assert (report.items, report.present, report.missing, report.encoded) == (10, 8, 2, 8)
    assert (report.reused, report.resumed, report.failed, report.dimensions) == (0, 0, (), 2)
    assert report.bytes_read == sum(len(t or "") for t in TITLES)
    assert report.peak_memory_mb > 10
    assert all(len(call) <= 3 for call in encoder.calls)


def test_the_finished_directory_holds_rows_a_person_can_read(options, catalogue, tmp_path):
    go(options, catalogue(title=TITLES), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "extraction.json",
        "matrix.npy",
        "present.npy",
        "rows.parquet",
    ]
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows.columns == ["item", "item_id", "present", "digest", "reason"]
    assert rows["digest"].is_null().to_list() == [not t for t in TITLES]


def test_nothing_changed_means_nothing_encoded(options, catalogue, tmp_path):
    items = catalogue(title=TITLES)
    go(options, items, tmp_path / "a")
    encoder, report = go(options, items, tmp_path / "b", previous=PreviousExtraction.read(tmp_path / "a"))
    assert encoder.calls == []
    assert (report.encoded, report.reused, report.present) == (0, 8, 8)
    assert files_digest(tmp_path / "a") == files_digest(tmp_path / "b")


def test_only_changed_and_new_items_are_encoded_wherever_they_stand(options, catalogue, tmp_path):
    go(options, catalogue(title=TITLES), tmp_path / "a")
    renumbered = pl.DataFrame(
        {
            "item": range(5),
            "item_id": ["new", "i4", "i0", "i2", "i9"],
            "title": ["brand new", "e", "changed", "no longer empty", "jj"],
        }
    )
    encoder, report = go(
        options, renumbered, tmp_path / "b", previous=PreviousExtraction.read(tmp_path / "a")
    )
    assert encoder.seen == ["brand new", "changed", "no longer empty"]
    assert (report.encoded, report.reused) == (3, 2)
    go(options, renumbered, tmp_path / "fresh")
    assert files_digest(tmp_path / "b") == files_digest(tmp_path / "fresh")


def test_rows_of_other_code_are_not_reused(options, catalogue, tmp_path):
    items = catalogue(title=TITLES)
    _, before = go(options, items, tmp_path / "a")
    previous = PreviousExtraction.read(tmp_path / "a")
    _, after = go(options, items, tmp_path / "b", previous=previous, code="of other code")
    assert after.fingerprint != before.fingerprint
    assert (after.encoded, after.reused) == (8, 0)


def test_settings_without_effect_on_numbers_keep_the_fingerprint(options, parse, catalogue, tmp_path):
    items = catalogue(title=TITLES)
    go(options, items, tmp_path / "a")
    other = options.model_copy(update={"batch_size": 1, "name": "renamed"})
    _, report = go(other, items, tmp_path / "b", previous=PreviousExtraction.read(tmp_path / "a"))
    assert report.reused == 8
    dtype = options.model_copy(update={"dtype": "float16"})
    _, report = go(dtype, items, tmp_path / "c", previous=PreviousExtraction.read(tmp_path / "a"))
    assert report.reused == 0


def test_a_stopped_run_goes_on_where_it_was(options, catalogue, tmp_path):
    titles = [*TITLES[:9], "boom"]
    with pytest.raises(RuntimeError):
        go(options, catalogue(title=titles), tmp_path)
    assert not (tmp_path / "extraction.json").exists()
    titles[9] = "jj"  # the last chunk's content is another, so is the plan: all is done again
    _, report = go(options, catalogue(title=titles), tmp_path)
    assert (report.encoded, report.resumed) == (8, 0)


def test_a_run_stopped_by_its_encoder_keeps_the_finished_chunks(options, catalogue, tmp_path, monkeypatch):
    items = catalogue(title=TITLES)
    original = Lengths.encode

    def stop_at_i(self, payloads):
        if "i" in payloads:
            raise KeyboardInterrupt
        return original(self, payloads)

    monkeypatch.setattr(Lengths, "encode", stop_at_i)
    with pytest.raises(KeyboardInterrupt):
        go(options, items, tmp_path)
    with (tmp_path / "chunks.jsonl").open("a") as log:
        log.write('{"start": 8, "fai')  # a kill in the middle of a line
    monkeypatch.setattr(Lengths, "encode", original)
    encoder, report = go(options, items, tmp_path)
    assert encoder.seen == ["i", "jj"]
    assert (report.encoded, report.resumed, report.present) == (2, 6, 8)
    go(options, items, tmp_path / "fresh")
    assert files_digest(tmp_path / "fresh").items() <= files_digest_of_files(tmp_path).items()


def files_digest_of_files(directory: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir() if p.is_file()}


def test_work_in_chunks_of_another_size_is_begun_anew(options, catalogue, tmp_path, monkeypatch):
    items = catalogue(title=TITLES)
    original = Lengths.encode
    monkeypatch.setattr(Lengths, "encode", lambda self, p: 1 / 0 if "i" in p else original(self, p))
    with pytest.raises(ZeroDivisionError):
        go(options, items, tmp_path)
    monkeypatch.setattr(Lengths, "encode", original)
    _, report = go(options, items, tmp_path, settings=EngineSettings(workers=0, chunk_items=3))
    assert (report.encoded, report.resumed) == (8, 0)


def test_a_finished_directory_given_again_encodes_nothing(options, catalogue, tmp_path):
    items = catalogue(title=TITLES)
    go(options, items, tmp_path)
    before = files_digest(tmp_path)
    encoder, _ = go(options, items, tmp_path)
    assert encoder.calls == []
    assert files_digest(tmp_path) == before


def test_sigkill_loses_at_most_the_chunk_in_flight(tmp_path):
    """A real kill in a real process; the second run is asked how much it had to do."""
    script = textwrap.dedent(
        """
        import sys, time
        import numpy as np, polars as pl
        from pathlib import Path
        from mrs_pipeline.encoders.base import Encoder, Surroundings
        from mrs_pipeline.encoders.engine import extract_with
        from mrs_pipeline.encoders.tfidf_svd import TfidfSvdOptions
        from mrs_pipeline.encoders.settings import EngineSettings
        from mrs_pipeline.encoders.texts import TextLoader, joined_text

        class Slow(Encoder):
            dimensions = 3
            def references(self, items): return joined_text(self.options, items)
            def loader(self): return TextLoader()
            chunks = 0
            def encode(self, payloads):
                self.chunks += 1
                if self.chunks > int(sys.argv[2]):
                    time.sleep(600)  # until it is killed
                return np.ones((len(payloads), 3), dtype=np.float32)

        options = TfidfSvdOptions(encoder="tfidf_svd", columns=("title",), batch_size=10)
        ids = [str(at) for at in range(200)]
        items = pl.DataFrame({"item": range(200), "item_id": ids, "title": ["x"] * 200})
        settings = EngineSettings(chunk_items=10)
        report = extract_with(Slow(options, Surroundings(Path())), items, Path(sys.argv[1]), settings=settings)
        print(report.encoded, report.resumed)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    log = tmp_path / "out" / "chunks.jsonl"
    victim = subprocess.Popen([*command, "6"], stdout=subprocess.DEVNULL)
    while not (log.exists() and len(log.read_text().splitlines()) == 7):
        assert victim.poll() is None
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    chunks = len(log.read_text().splitlines()) - 1
    second = subprocess.run([*command, "20"], capture_output=True, text=True, check=True)
    encoded, resumed = map(int, second.stdout.split())
    assert resumed == 10 * chunks == 60
    assert encoded + resumed == 200
    assert np.load(tmp_path / "out" / "matrix.npy").min() == 1


def test_memory_does_not_grow_with_the_catalogue(options, tmp_path):
    class Wide(Lengths):
        dimensions = 128

        def encode(self, payloads):
            return np.ones((len(payloads), 128), dtype=np.float32)

    def peak(n: int) -> int:
        items = pl.DataFrame({"item": range(n), "item_id": [str(at) for at in range(n)], "title": ["x"] * n})
        tracemalloc.start()
        try:
            extract_with(Wide(options), items, tmp_path / str(n), settings=EngineSettings(chunk_items=256))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(512)  # imports and caches of the first call
    small, large = peak(512), peak(10_240)
    # Twenty times the rows; what may grow is the mask and the digests, 33 bytes a row.
    assert large < small * 1.1 + 10_240 * 40 * 3


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 70_000.0])
def test_rows_of_which_nothing_can_be_made_fail(options, catalogue, tmp_path, value):
    class Odd(Lengths):
        def encode(self, payloads):
            odd = np.array([text == "bb" for text in payloads])
            return np.where(odd[:, None], np.float32(value), np.float32(1)).repeat(2, axis=1)

    encoder = Odd(options.model_copy(update={"dtype": "float16"}))
    report = extract_with(encoder, catalogue(title=TITLES), tmp_path, settings=SETTINGS)
    assert [row.item for row in report.failed] == [1]
    assert np.isfinite(np.load(tmp_path / "matrix.npy")).all()
    assert not np.load(tmp_path / "present.npy")[1]
    assert report.failures().row(0)[:4] == (1, "i1", "text", "bb")


def test_an_encoder_of_another_width_is_a_programming_error(options, catalogue, tmp_path):
    class Wrong(Lengths):
        dimensions = 5

    with pytest.raises(ValueError, match="encoder gave"):
        extract_with(Wrong(options), catalogue(title=TITLES), tmp_path)


def test_an_empty_catalogue_is_refused(options, catalogue, tmp_path):
    with pytest.raises(InputError, match="no items"):
        go(options, catalogue(title=[]), tmp_path)


def test_a_catalogue_out_of_order_is_a_programming_error(options, catalogue, tmp_path):
    with pytest.raises(ValueError, match="numbered"):
        go(options, catalogue(title=["a", "b"]).reverse(), tmp_path)


def test_a_damaged_previous_extraction_says_what_to_do(options, catalogue, tmp_path):
    go(options, catalogue(title=TITLES), tmp_path)
    os.truncate(tmp_path / "matrix.npy", 40)
    with pytest.raises(InputError, match="materialise the feature set again"):
        PreviousExtraction.read(tmp_path)
