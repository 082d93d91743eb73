"""The example of docs/python.md runs as it stands, and its lists of models are those of the code."""

import re
from pathlib import Path

import pytest

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/python.md", "exec"), {})
    assert "somebody new" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["vbpr-of-march"]


def test_models_that_rank_histories_are_those_listed() -> None:
    (listed,) = re.findall(r"a user is what they took: (.*?)\.", PAGE, flags=re.DOTALL)
    specs = [MODELS[name].spec for name in MODELS.own]
    able = {
        spec.name for spec in specs if spec.histories and FeatureUse.REQUIRED not in (spec.raw, spec.tokens)
    }
    assert set(re.findall(r"`(\w+)`", listed)) == able
