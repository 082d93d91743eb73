from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.home import Home, find_home


def test_a_folder_with_tool_dg_is_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.dg]\n")
    monkeypatch.delenv("MRS_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_home() == Home(tmp_path.resolve())


def test_the_variable_goes_before_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dg.toml").touch()
    monkeypatch.setenv("MRS_HOME", str(tmp_path))
    home = find_home()
    assert (home.lake, home.models) == (tmp_path / "data" / "lake", tmp_path / "models")


@pytest.mark.parametrize("text", [None, "[tool.other]\n", 'tool = "none"\n'])
def test_other_folders_are_refused_with_the_remedy(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.setenv("MRS_HOME", str(tmp_path))
    with pytest.raises(InputError, match="mrs init"):
        find_home()


def test_broken_toml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.dg\n")
    monkeypatch.setenv("MRS_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"pyproject.toml: this is not TOML"):
        find_home()
