"""Writes the demonstration catalogue as a folder like any other: tables, covers, sounds, clips.

Written aside and renamed, so that a reader sees a whole catalogue or none; written again only if the options
or the generator's code have changed.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mrs_pipeline.ingest.demo import clips, market, pictures, shelf, sounds, words
from mrs_pipeline.ingest.demo.options import DemoOptions

DEMO_MANIFEST: Final = "demo.json"
_JPEG_QUALITY: Final = 85


def ensure_demo(options: DemoOptions, root: Path) -> None:
    """Make the catalogue at `root` unless it is there, made from the same options by the same code."""
    from filelock import FileLock

    made_from = {"options": options.model_dump(), "generator": generator_digest()}
    if _made_from(root) == made_from:
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):
        if _made_from(root) == made_from:
            return
        aside = root.with_name(f".{root.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        write_demo(options, aside)
        (aside / DEMO_MANIFEST).write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")
        _swap(aside, root)


def generator_digest() -> str:
    """Digest of the source of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def write_demo(options: DemoOptions, root: Path) -> None:
    """Write the whole catalogue into the new folder `root`."""
    from tqdm import tqdm

    records = market.plant_records(options)
    listeners = market.plant_listeners(options)
    for folder in ("interactions", "images", "audio", "video"):
        (root / folder).mkdir(parents=True)
    rows = [
        _write_record(options, records, number, root)
        for number in tqdm(range(options.items), desc="demonstration catalogue", unit="record", disable=None)
    ]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    attributes = shelf.attributes(market.stream(options, "content"), records)
    _write_items(root / "items.csv", {**columns, **attributes})
    for month, events in enumerate(market.listen(options, records, listeners)):
        _write_month(root / "interactions", month, events)


def _write_record(
    options: DemoOptions, records: market.Records, number: int, root: Path
) -> dict[str, str | None]:
    """Write a record's files; returns its row of the items file, without attributes."""
    style = {name: int(styles[number]) for name, styles in records.style.items()}
    absent = {name: bool(missing[number]) for name, missing in records.missing.items()}
    streams = {name: market.stream(options, "content", number, k) for k, name in enumerate(market.CONTENT)}
    item_id = item_name(number)
    image, audio, video = f"images/{item_id}.jpg", f"audio/{item_id}.flac", f"video/{item_id}.mov"
    if not absent["image"]:
        accent = int(records.mixture[number].argsort()[-2])
        cover = pictures.cover(streams["image"], style["image"], accent)
        cover.save(root / image, quality=_JPEG_QUALITY)
    if not absent["audio"]:
        _write_sound(root / audio, streams["audio"], style["audio"])
    if not absent[market.CLIP]:
        clips.write_clip(root / video, market.stream(options, "clips", number), style[market.CLIP])
    return {
        "item_id": item_id,
        "title": words.title(streams["text"], style["text"]),
        "description": None if absent["text"] else words.description(streams["text"], style["text"]),
        "image": None if absent["image"] else image,
        "audio": None if absent["audio"] else audio,
        "video": None if absent[market.CLIP] else video,
    }


def item_name(number: int) -> str:
    """Original id of the record with that number."""
    return f"r{number + 1:04d}"


def user_name(number: int) -> str:
    """Original id of the listener with that number."""
    return f"u{number + 1:05d}"


def _write_sound(path: Path, rng: Any, style: int) -> None:
    import soundfile

    # FLAC, not Ogg: an Ogg stream carries a random serial number, which would change the file at every run.
    soundfile.write(path, sounds.sample(rng, style), sounds.SAMPLE_RATE, subtype="PCM_16")


def _write_items(path: Path, columns: Mapping[str, Any]) -> None:
    import polars as pl

    pl.DataFrame(dict(columns)).write_csv(path)


def _write_month(folder: Path, month: int, events: market.Month) -> None:
    import numpy as np
    import polars as pl

    key = np.datetime64(market.FIRST_MONTH, "M") + month
    frame = pl.DataFrame(
        {
            "user_id": [user_name(number) for number in events.users.tolist()],
            "item_id": [item_name(number) for number in events.items.tolist()],
            "timestamp": events.times.astype("datetime64[us]"),
            "rating": events.ratings.astype(np.int8),
        }
    )
    frame.write_parquet(folder / f"{key}.parquet")


def _made_from(root: Path) -> Any:
    """What the manifest below `root` says; None where there is none."""
    path = root / DEMO_MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _swap(aside: Path, root: Path) -> None:
    """Put the new folder in the old one's place."""
    old = root.with_name(f".{root.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if root.exists():
        root.replace(old)
    aside.replace(root)
    shutil.rmtree(old, ignore_errors=True)
