"""The tables of docs/datasets.md, from the layouts and from what `mrs init` prints on the tiny folders.

`python -m mrs_pipeline_tests.ingest.layouts.page` writes them anew; a test compares.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from mrs_pipeline.ingest.layouts.registry import LAYOUTS
from mrs_pipeline_tests.ingest.layouts.folders import FOLDERS, make
from mrs_pipeline_tests.ingest.layouts.pipeline import inspected

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
_SHOWN = ("interactions:", "items:", "ready features:", "image:", "windows:", "ratings:", "k-core:", "split:")


def layouts_table() -> str:
    """Name, title, where the authors offer it, what they say of its use."""
    rows = [
        f"| `{layout.name}` | {layout.title} | {layout.where} | {layout.licence} |"
        for layout in LAYOUTS.values()
    ]
    return "\n".join(["| reader | data set | where | licence note |", "|---|---|---|---|", *rows])


def findings_table(root: Path) -> str:
    """What `mrs init` finds in each tiny folder, below `root`."""
    rows = []
    for name, (layout, _) in FOLDERS.items():
        found = inspected(make(root, name), layout).findings
        told = {line.partition(":")[0]: line for line in found if line.startswith(_SHOWN)}
        reason = found[0].partition("), by ")[2]
        cells = (
            _cell(told, "interactions"),
            _cell(told, "items"),
            "; ".join(_cell(told, part) for part in ("image", "ready features") if part in told),
            "; ".join(_cell(told, part) for part in ("windows", "ratings", "k-core", "split")),
        )
        shown = " | ".join(cell.replace("|", "\\|") for cell in (reason, *cells))
        rows.append(f"| {name} | {shown} |")
    header = "| folder | recognised by | interactions | items | content | settings |"
    return "\n".join([header, "|---|---|---|---|---|---|", *rows])


def written(page: str, root: Path) -> str:
    """The page with both tables as they are now."""
    for mark, table in (("layouts", layouts_table()), ("findings", findings_table(root))):
        before, start, rest = page.partition(f"<!-- {mark} -->\n")
        _, end, after = rest.partition(f"<!-- end of {mark} -->")
        page = f"{before}{start}{table}\n{end}{after}"
    return page


def _cell(told: dict[str, str], part: str) -> str:
    return told[part].partition(": ")[2] if part != "windows" and part != "k-core" else told[part]


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), Path(folder)), encoding="utf-8")
