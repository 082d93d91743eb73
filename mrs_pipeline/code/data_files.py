"""Files of a package that are no Python: templates, style sheets, tables of words. Code reads them by name.

A string that is a file's name, or the end of its path, reaches the file; of several files of one name, those nearest
to the module. A file reaches the files that it names in turn.
"""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mrs_pipeline.code.canonical import DIGITS
from mrs_pipeline.code.stamps import Stamp, content_digest, stamp_of

NOT_READ: Final = (".py", ".pyc", ".pyi", ".so", ".pyd")
_TOKEN: Final = re.compile(r"[\w.\-/]+")
_EXPRESSION: Final = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_WORD: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class PackageFile:
    """A file and what it uses.

    Attributes:
        key: path from the folder that holds the package, with slashes.
        digest: digest of its bytes.
        names: texts in it that may be names of files.
        words: names in its template expressions, by which it may read members of objects.
    """

    key: str
    digest: str
    names: frozenset[str]
    words: frozenset[str]


@dataclass
class PackageFiles:
    """The files below a package's folder, found when this is made and read when they are asked for.

    Attributes:
        folder: of the package.
        stamps: of folders, whose lists of files matter, and of files that were read.
        contents: digests of what was read in files.
    """

    folder: Path
    stamps: dict[Path, Stamp] = field(default_factory=dict)
    contents: dict[Path, str] = field(default_factory=dict)
    _by_name: dict[str, list[str]] = field(default_factory=dict)
    _read: dict[str, PackageFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above = self.folder.parent
        for folder, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            self.stamps[Path(folder)] = stamp_of(Path(folder))
            for name in sorted(names):
                if not name.endswith(NOT_READ):
                    path = Path(folder, name).relative_to(above).as_posix()
                    self._by_name.setdefault(name, []).append(path)

    def named(self, text: str, near: str) -> list[str]:
        """Keys of the files that `text` names in code of the module or file `near` (a path like the keys)."""
        name = text.rpartition("/")[2]
        paths = [path for path in self._by_name.get(name, ()) if f"/{path}".endswith(f"/{text.lstrip('./')}")]
        shared = [_shared(path, near) for path in paths]
        return [path for path, depth in zip(paths, shared, strict=True) if depth == max(shared)]

    def read(self, key: str) -> PackageFile:
        """A file, its digest and what it uses."""
        if key not in self._read:
            path = self.folder.parent / key
            self.stamps[path] = stamp_of(path)
            data = path.read_bytes()
            self.contents[path] = content_digest(data)
            self._read[key] = _parsed(key, data)
        return self._read[key]


def _shared(path: str, other: str) -> int:
    pairs = zip(path.split("/"), other.split("/"), strict=False)
    return next((depth for depth, (one, two) in enumerate(pairs) if one != two), 0)


def _parsed(key: str, data: bytes) -> PackageFile:
    digest = hashlib.sha256(data).hexdigest()[:DIGITS]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return PackageFile(key, digest, frozenset(), frozenset())
    names = frozenset(token for token in _TOKEN.findall(text) if "." in token)
    words = frozenset(word for part in _EXPRESSION.findall(text) for word in _WORD.findall(part))
    return PackageFile(key, digest, names, words)
