"""What a shell offers after the tabulator key: names of datasets and models. Nothing heavy is loaded."""

from collections.abc import Iterator

from mrs_pipeline.documents import DocumentError, yaml_file
from mrs_pipeline.errors import MrsError
from mrs_pipeline.storage.home import find_home


def dataset_names(incomplete: str) -> list[str]:
    """Datasets of the home around, by the names in their `defs.yaml`; none outside of a home."""
    return sorted(name for name in set(_names()) if name.startswith(incomplete))


def _names() -> Iterator[str]:
    try:
        root = find_home().root
    except MrsError:
        return
    folders = (root / "defs", root / "mrs_pipeline" / "defs")
    for path in (path for folder in folders for path in folder.glob("*/defs.yaml")):
        try:
            documents = yaml_file(path)
        except (DocumentError, FileNotFoundError):
            continue  # `mrs datasets` says what is wrong with it
        for document in documents:
            settings = document.value if isinstance(document.value, dict) else {}
            attributes = settings.get("attributes")
            if isinstance(attributes, dict) and attributes.get("name"):
                yield str(attributes["name"])


def model_names(incomplete: str) -> list[str]:
    """The last name of a list of models separated by commas, completed; the names before it stay."""
    from mrs_pipeline.models.registry import MODELS

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in MODELS if name.startswith(last)]
