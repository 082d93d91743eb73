"""`mrs init FOLDER`: looks at a folder of raw files and proposes a dataset's settings, saying what was found.

Putting together only: which file is what is `discovery`, what suits the data `proposals`, how it is written
down `settings_yaml`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection import official, proposals
from mrs_pipeline.ingest.inspection.discovery import (
    Overrides,
    discover,
    modality_of,
    renamed,
    unused_columns,
    unused_tables,
)
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import Source

_COLLABORATIVE: Final = ("most_pop", "item_knn", "ease", "bpr_mf", "lightgcn")
_MULTIMODAL: Final = ("vbpr", "freedom")
_ENCODERS: Final = {"text": "tfidf_svd", "image": "color_gradient"}
"""The encoder that needs no weights, where a modality has one."""


@dataclass(frozen=True)
class Inspection:
    """What `mrs init` found.

    Attributes:
        settings: a dataset's settings, ready for `settings_yaml.to_yaml`.
        findings: one sentence a finding, for people.
    """

    settings: dict[str, Any]
    findings: tuple[str, ...]


def inspect_folder(
    path: Path, overrides: Overrides | None = None, home_root: Path | None = None
) -> Inspection:
    """Find a folder's files, read them once, and propose settings.

    Args:
        path: the folder, absolute or relative to the current directory.
        overrides: what the names do not say.
        home_root: where what is converted of an official layout is kept for the runs; by default it is not kept.

    Raises:
        InputError: there is no such folder, users or items cannot be recognised, or a file cannot be read.
    """
    from mrs_pipeline.database import connect

    overrides = overrides or Overrides()
    root = path.expanduser().resolve()
    if not root.is_dir():
        raise InputError(f"{root} is no folder; name the one that holds interactions and items")
    match = official.match(root, overrides)
    with connect() as con, TemporaryDirectory() as scratch:
        section = official.section(match, root, overrides) or discover(con, root, overrides)
        source = open_source(source_options(section), home_root or Path(scratch))
        facts = source.describe(con)
        interactions = source.interactions_sql(con)
        window = official.window(source) or proposals.propose_window(con, interactions, facts)
        rating = official.rating(source) or proposals.propose_min_rating(con, interactions, facts)
        core = proposals.propose_k_core(con, interactions, facts, rating.section.get("min_rating"))
        aside = official.remarks(source)
        if aside is None:
            aside = _aside(unused_columns(con, source, section), unused_tables(source))
    split = proposals.propose_split(facts, windowed=bool(window.section))
    features = _features(facts)
    settings = {
        "name": overrides.name or _slug(root.name),
        "source": section,
        "window": window.section or {"every": "none"},
        "interactions": official.rules(source) | rating.section | core.section,
        "features": features,
        "split": split.section,
        "models": {name: {} for name in (*_COLLABORATIVE, *(_MULTIMODAL if features else ()))},
        "seeds": [1],
    }
    reasons = (proposal.reason for proposal in (window, rating, core, split))
    settings = {key: value for key, value in settings.items() if value}
    findings = (
        *official.introduction(match),
        *_findings(section, source, facts),
        *aside,
        *reasons,
        _models_finding(features),
    )
    return Inspection(settings, findings)


def _slug(name: str) -> str:
    """A dataset's name from a folder's."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return slug if slug[:1].isalpha() else f"data_{slug}"[:40].rstrip("_")


def _features(facts: SourceFacts) -> list[dict[str, str]]:
    """Content that an encoder without weights can read, then ready matrices."""
    there = {"text": facts.titled + facts.described > 0, "image": "image" in facts.media}
    features = [{"modality": name, "encoder": encoder} for name, encoder in _ENCODERS.items() if there[name]]
    for matrix in facts.matrices:
        modality = modality_of(matrix)
        if modality:
            ready = {"modality": modality, "encoder": "identity", "matrix": matrix}
            features.append(ready | ({} if matrix == modality else {"name": matrix}))
    return features


def _findings(section: dict[str, Any], source: Source, facts: SourceFacts) -> list[str]:
    files = [path.relative_to(source.root).as_posix() for path in source.landings()]
    where = files[0] if len(files) == 1 else f"{len(files)} files, {files[0]} to {files[-1]}"
    when = f", {facts.first:%Y-%m-%d} to {facts.last:%Y-%m-%d}" if facts.first and facts.last else ""
    lines = [f"interactions: {facts.rows:,} in {where}, {facts.users:,} users{when}"]
    if "interaction_columns" in section:
        lines.append(f"columns of the interactions: {renamed(section['interaction_columns'])}")
    attributes = f"; attributes: {', '.join(facts.attributes)}" if facts.attributes else ""
    lines.append(
        f"items: {facts.items:,}, {facts.titled:,} titles, {facts.described:,} descriptions{attributes}"
    )
    if "item_columns" in section:
        lines.append(f"columns of the items: {renamed(section['item_columns'])}")
    for modality, media in facts.media.items():
        absent = f", {media.missing:,} named but not there" if media.missing else ""
        later = "" if modality in _ENCODERS else "; add an encoder under features to use them"
        lines.append(f"{modality}: files of {media.present:,} of {facts.items:,} items{absent}{later}")
    for matrix in facts.matrices:
        unknown = "" if modality_of(matrix) else "; say under features which modality it describes"
        lines.append(f"ready features: {matrix}{unknown}")
    return lines


def _aside(columns: list[str], tables: list[str]) -> list[str]:
    """What is not used: a time, a rating or a catalogue that was not recognised would otherwise go unnoticed."""
    findings = []
    if columns:
        findings.append(
            f"columns of the interactions left aside: {', '.join(columns)}; if one is the time or the rating, run "
            "again with --time-column or --rating-column"
        )
    if tables:
        findings.append(
            f"files left aside: {', '.join(tables)}; if one lists the items, run again with --items FILE"
        )
    return findings


def _models_finding(features: list[dict[str, str]]) -> str:
    if features:
        modalities = ", ".join(dict.fromkeys(feature["modality"] for feature in features))
        return f"models: collaborative and multimodal, on {modalities}"
    return "models: collaborative only, there is no content to learn from"
