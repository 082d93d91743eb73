"""docs/datasets.md says what is so: its tables are those that the layouts and `mrs init` give."""

from pathlib import Path

from mrs_pipeline.ingest.layouts.registry import LAYOUTS
from mrs_pipeline_tests.ingest.layouts.page import PAGE, written


def test_the_page_is_current(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, tmp_path) == page, "write it with python -m mrs_pipeline_tests.ingest.layouts.page"
    assert len(LAYOUTS) >= 20 and all(f"| `{name}` |" in page for name in LAYOUTS)
