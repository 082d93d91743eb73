"""`mrs init FOLDER`: looks at a folder of raw files and proposes a dataset's settings, saying what was found.

Putting together only: which file is what is `discovery`, what suits the data `times`, `ratings` and `proposals`, how it
is written down `settings_yaml`.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import identities
from mrs_pipeline.ingest.datafile import open_data_file
from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection import media_files, official, proposals, ratings, telling, times
from mrs_pipeline.ingest.inspection.discovery import Discovery, discover
from mrs_pipeline.ingest.inspection.overrides import Overrides
from mrs_pipeline.ingest.inspection.proposal import Proposal
from mrs_pipeline.ingest.inspection.texts import why_texts_say_nothing
from mrs_pipeline.ingest.landing import untimed_notices
from mrs_pipeline.ingest.locating import is_remote, source_folder
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.options import MEDIA_FOLDERS
from mrs_pipeline.ingest.packing import data_suffix
from mrs_pipeline.ingest.paths import top_tables
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.remote.address import address_of
from mrs_pipeline.schema import ITEM_ID, RATING, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_COLLABORATIVE: Final = ("most_pop", "item_knn", "ease", "ials", "lightgcn")
_MULTIMODAL: Final = ("knn_fusion", "mm_ease", "mgcn", "freedom", "clcrec", "macridvae", "pmgt")
"""For each branch of the survey what has won in docs/benchmarks.md at low cost: fusion by neighbours and by kernel,
bridge and attention, filtration, contrast with content (cold items), disentangled factors, two steps."""
PLAIN_ENCODERS: Final = {"text": "tfidf_svd", "image": "color_gradient"}
"""Modality -> the encoder that needs no weights."""
_PARSED, _CATALOGUE, _TIMED, _COUNTING = "parsed", "catalogue", "timed", "counting"


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
    path: Path | str,
    overrides: Overrides | None = None,
    home_root: Path | None = None,
    encoders: Mapping[str, str] = PLAIN_ENCODERS,
) -> Inspection:
    """Find a folder's files, read them, and propose settings.

    The interactions are parsed once into a temporary table, which goes to disk beyond a few gigabytes; every count in
    the findings is of all rows.

    Args:
        path: the folder or `.zip`, absolute or relative to the current directory, or an address.
        overrides: what the names do not say.
        home_root: where an official layout's converted tables, unpacked archives and copies of remote folders are kept
            for the run; a temporary folder without it.

        encoders: modality -> the encoder to propose for it.

    Raises:
        InputError: there is no such folder, users or items cannot be recognised, or a file cannot be read.
    """
    overrides = overrides or Overrides()
    place = _place(str(path))
    with _working_connection() as (con, scratch):
        root = source_folder(place, home_root or scratch)
        match = official.match(root, overrides)
        layout = official.section(match, root, overrides)
        found = Discovery(layout) if layout else discover(con, root, overrides)
        unit = _state_unit(con, root, found)
        source = open_source(source_options(found.section), home_root or scratch)
        found.modalities |= official.modalities(source) if layout else {}
        con.execute(f"CREATE TEMP TABLE {_PARSED} AS {source.interactions_sql(con)}")
        con.execute(f"CREATE TEMP TABLE {_CATALOGUE} AS {source.items_sql(con)}")
        facts = source.describe(con, f"SELECT * FROM {_PARSED}", f"SELECT * FROM {_CATALOGUE}")
        span = times.span_of(con, _PARSED, datetime.now(UTC))
        facts = replace(facts, first=span.first, last=span.last) if span else facts
        window = official.window(source) or _window(con, facts, span)
        bounds = times.propose_bounds(span, facts, window)
        rating = official.rating(source) or ratings.propose_ratings(con, _PARSED, facts, overrides.min_rating)
        _keep_counting(con, span if window.section else None, rating)
        core = proposals.propose_k_core(con, _COUNTING, facts)
        split = proposals.propose_split(facts, windowed=bool(window.section))
        knowledge = official.knowledge(con, source, _CATALOGUE)
        silent = why_texts_say_nothing(con, _CATALOGUE)
        unusable = telling.leave_out_bad_matrices(con, source, found)
        notices = identities.id_notices(con, _PARSED, _CATALOGUE, source.ids)
        notices += untimed_notices(con, _PARSED) if window.section else []
        found.section["path"] = place
        aside = official.remarks(source)
        if aside is None:
            aside = telling.left_aside(found, _unseen(source, found))
    features = _features(facts, found, overrides, encoders, texts=silent is None)
    chosen = proposals.propose_selection(facts)
    settings = {
        "name": overrides.name or _slug(_title(place)),
        "source": found.section,
        "window": window.section or {"every": "none"},
        "interactions": official.rules(source)
        | rating.section
        | (bounds.section if bounds else {})
        | core.section,
        "features": features,
        "knowledge": knowledge.section if knowledge else {},
        "split": split.section,
        "evaluation": chosen.section if chosen else {},
        "models": {name: {} for name in (*_COLLABORATIVE, *(_MULTIMODAL if features else ()))},
        "seeds": [1],
    }
    findings = (
        *telling.copy_findings(place, root, source),
        *official.introduction(match),
        *telling.source_findings(found, source, facts),
        *found.findings,
        *unusable,
        *unit,
        *notices,
        *aside,
        *(
            proposal.reason
            for proposal in (bounds, window, rating, core, split, knowledge, chosen)
            if proposal
        ),
        *([silent] if silent and "text" not in overrides.without else []),
        *telling.features_findings(features),
    )
    return Inspection({key: value for key, value in settings.items() if value}, findings)


def _place(path: str) -> str:
    """An address as it is, anything else as an absolute path; InputError where neither a folder nor a `.zip` is."""
    if is_remote(path):
        return path
    there = Path(path).expanduser().resolve()
    if not there.is_dir() and there.suffix.lower() != ".zip":
        raise InputError(f"{there} is no folder; name the one that holds interactions and items")
    return there.as_posix()


def _title(place: str) -> str:
    """What a dataset is called that comes from there."""
    if is_remote(place):
        return address_of(place).title
    return Path(place).stem if place.lower().endswith(".zip") else Path(place).name


@contextmanager
def _working_connection() -> Iterator[tuple["DuckDBPyConnection", Path]]:
    """A connection whose tables go to a temporary folder beyond its memory, and that folder."""
    from mrs_pipeline.database import connect

    with tempfile.TemporaryDirectory(prefix="mrs-init-") as folder, connect() as con:
        con.execute("SET temp_directory = ?", [folder])
        yield con, Path(folder)


def _state_unit(con: "DuckDBPyConnection", root: Path, found: Discovery) -> list[str]:
    """Put what the numbers of the time column count into the section, where that is unusual and not said."""
    section = found.section
    if "time_unit" in section or section["reader"] != "folder":
        return []
    path = open_source(source_options(section), root).landings()[0]
    file = open_data_file(con, root, path, encoding=section.get("encoding"), names=section.get("columns"))
    column = section.get("interaction_columns", {}).get(TIMESTAMP, TIMESTAMP)
    unit = times.time_unit(con, file, column) if column else "auto"
    if unit == "auto":
        return []
    section["time_unit"] = unit
    return [times.unit_finding(column, unit)]


def _window(con: "DuckDBPyConnection", facts: SourceFacts, span: times.Span | None) -> Proposal:
    """The windows, judged by the rows whose time can be."""
    if span is None:
        return times.propose_window(con, _PARSED, facts, span)
    con.execute(f"CREATE TEMP VIEW {_TIMED} AS SELECT * FROM {_PARSED} WHERE {_rules(span)}")
    return times.propose_window(con, _TIMED, facts, span)


def _keep_counting(con: "DuckDBPyConnection", span: times.Span | None, rating: Proposal) -> None:
    """The rows that the rules leave before the k-core: a user, a known item, a possible time, a liking."""
    rules = [_rules(span), f"{ITEM_ID} IN (SELECT {ITEM_ID} FROM {_CATALOGUE})"]
    if "min_rating" in rating.section:
        rules.append(f"{RATING} >= {rating.section['min_rating']}")
    if "unrated" in rating.section:
        codes = ", ".join(map(str, rating.section["unrated"]))
        rules.append(f"({RATING} IS NULL OR {RATING} NOT IN ({codes}))")
    con.execute(f"CREATE TEMP VIEW {_COUNTING} AS SELECT * FROM {_PARSED} WHERE {' AND '.join(rules)}")


def _rules(span: times.Span | None) -> str:
    """SQL of a row that names somebody and something, in a span of time where one is given."""
    named = f"{USER_ID} IS NOT NULL AND {ITEM_ID} IS NOT NULL"
    return (
        f"{named} AND {TIMESTAMP} BETWEEN TIMESTAMP '{span.first}' AND TIMESTAMP '{span.last}'"
        if span
        else named
    )


def _slug(name: str) -> str:
    """A dataset's name from a folder's."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return slug if slug[:1].isalpha() else f"data_{slug}"[:40].rstrip("_")


def _features(
    facts: SourceFacts,
    found: Discovery,
    overrides: Overrides,
    encoders: Mapping[str, str],
    *,
    texts: bool,
) -> list[dict[str, str]]:
    """Content that an encoder can read as it is, then ready matrices."""
    media = {modality for modality, files in facts.media.items() if files.present}
    there = {"text": texts and facts.titled + facts.described > 0, "image": "image" in media}
    features = [
        {"modality": name, "encoder": encoder}
        for name, encoder in encoders.items()
        if there[name] and name not in overrides.without
    ]
    for matrix in facts.matrices:
        modality = found.modalities.get(matrix)
        if modality:
            ready = {"modality": modality, "encoder": "identity", "matrix": matrix}
            features.append(ready | ({} if matrix == modality else {"name": matrix}))
    return features


def _unseen(source: Source, found: Discovery) -> list[str]:
    files = [path.relative_to(source.root).parts[0] for path in source.files()]
    folders = found.section.get("media_folders", MEDIA_FOLDERS).values()
    tables = [path.name for path in top_tables(source.root) if data_suffix(path) != ".inter"]
    return media_files.unseen(source.root, [*files, *tables], [*files, *folders])
