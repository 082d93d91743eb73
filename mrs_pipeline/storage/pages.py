"""Pages for people: one HTML file, with its digest and provenance in a small file beside it.

The page is replaced before its manifest, each in one rename: a reader finds a whole page, and a page whose manifest
tells another digest is one whose writer was killed in between, or that was changed by hand.
"""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from mrs_pipeline.documents import json_file
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.storage.provenance import Provenance


@dataclass(frozen=True)
class PageManifest:
    """What a page is and what made it.

    Attributes:
        digest: digest of the file's bytes.
        provenance: code and inputs that made it.
    """

    digest: str
    provenance: Provenance


def write_page(path: Path, text: str, provenance: Provenance) -> str:
    """Replace a page and its manifest; returns the digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
    digest = file_digest(path)
    record = {"digest": digest, "provenance": provenance.to_json()}
    replace_text(manifest_path(path), json.dumps(record, indent=2))
    return digest


def page_exists(path: Path) -> bool:
    """Whether the page and its manifest have been written."""
    return path.is_file() and manifest_path(path).is_file()


def read_page(path: Path) -> PageManifest:
    """The manifest of a page.

    Raises:
        InputError: the page has not been made.
        UnreadableError: its manifest is damaged.
    """
    if not page_exists(path):
        raise InputError(f"{path} has not been made yet: materialise it first.")
    try:
        record = json_file(manifest_path(path))
        return PageManifest(record["digest"], Provenance.from_json(record["provenance"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(
            f"{manifest_path(path)} was not written by mrs: remove it and run `mrs run`, which makes the page again."
        ) from error


def manifests(root: Path) -> list[Path]:
    """The pages below a folder that have a manifest, sorted; they themselves may be gone."""
    return sorted(path.with_suffix("") for path in root.rglob("*.html.json"))


def page_fault(path: Path) -> str | None:
    """What is wrong with a page, in words; None where it is what was written."""
    if not path.is_file():
        return "is gone"
    try:
        digest = json_file(manifest_path(path))["digest"]
    except (OSError, ValueError, KeyError) as error:
        return f"has no readable manifest ({error})"
    return None if file_digest(path) == digest else "is not what was written"


def discard_page(path: Path) -> None:
    """Remove a page and its manifest."""
    path.unlink(missing_ok=True)
    manifest_path(path).unlink(missing_ok=True)


def manifest_path(page: Path) -> Path:
    """Where the manifest of a page is."""
    return page.with_name(f"{page.name}.json")


def replace_text(path: Path, text: str) -> None:
    """Replace a text file in one rename."""
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}{path.suffix}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
