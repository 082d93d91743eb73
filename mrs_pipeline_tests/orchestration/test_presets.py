"""Presets on their way from a file beside a `defs.yaml` to what a model is trained with."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mrs_pipeline.errors import InputError
from mrs_pipeline.orchestration import home as home_module
from mrs_pipeline.plan import on_request
from mrs_pipeline.tuning.presets import Preset, write_preset
from mrs_pipeline_tests.dataset.test_presets import FOUND
from mrs_pipeline_tests.orchestration import homes

LISTED = {**homes.BARE, "models": {"most_pop": None, "lightgcn": {"n_layers": 4}}}


def _keep(path: Path, model: str, **settings: Any) -> None:
    write_preset(path, "tiny", model, Preset.model_validate({"settings": settings, "found": FOUND}))


def test_a_model_starts_from_its_preset_and_the_yaml_has_the_last_word(tmp_path: Path) -> None:
    home = homes.make(tmp_path, LISTED)
    plain = homes.task_of(homes.stage_of(home), "trained/lightgcn").settings
    path = home.root / "defs" / "tiny" / "presets.yaml"
    _keep(path, "lightgcn", n_layers=1, reg_weight=0.5)
    _keep(path, "vbpr", reg_weight=0.25)
    project = homes.load(home)
    config = project.config("tiny")
    assert config.settings_of("lightgcn") == {"n_layers": 4, "reg_weight": 0.5}
    assert config.settings_of("vbpr") == {"reg_weight": 0.25}
    assert list(config.model_configs) == ["most_pop", "lightgcn"]
    assert homes.task_of(homes.stage_of(home), "trained/lightgcn").settings != plain
    assert project.folders["tiny"] == path.parent


def test_presets_can_be_switched_off(tmp_path: Path) -> None:
    home = homes.make(tmp_path, {**LISTED, "presets": False})
    path = home.root / "defs" / "tiny" / "presets.yaml"
    _keep(path, "lightgcn", reg_weight=0.5)
    assert homes.load(home).config("tiny").settings_of("lightgcn") == {"n_layers": 4}
    path.write_text("- broken")
    homes.load(home)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (yaml.safe_dump({"lightgnc": {}}), "lightgnc: there is no such model"),
        (
            yaml.safe_dump({"lightgcn": {"settings": {"layers": 2}, "found": FOUND}}),
            "lightgcn.settings.layers: there is no such key",
        ),
        ("lightgcn: [", "this is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    home = homes.make(tmp_path, LISTED)
    path = home.root / "defs" / "tiny" / "presets.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        homes.load(home)
    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_preset_against_the_yaml_names_both_files(tmp_path: Path) -> None:
    home = homes.make(
        tmp_path, {**homes.TINY, "user_graph_k": 50, "models": {"dualgnn": {"embedding_size": 8}}}
    )
    path = home.root / "defs" / "tiny" / "presets.yaml"
    _keep(path, "dualgnn", user_k=60)
    with pytest.raises(
        InputError, match="presets.yaml: together with defs.yaml, models.dualgnn.user_k is 60"
    ):
        homes.load(home)


def test_experiments_start_from_the_presets_of_models_off_the_list(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.TINY)

    def settings() -> dict[str, Mapping[str, Any]]:
        config = homes.load(home).config("tiny")
        return {task.name: task.settings for task in on_request(config)}

    before = settings()
    _keep(home.root / "defs" / "tiny" / "presets.yaml", "fusion", reg_weight=0.0625)
    changed = {name for name, text in settings().items() if text != before[name]}
    assert "experiments/fusion" in changed
    assert settings()["experiments/fusion"]["models"]["fusion"] == {"reg_weight": 0.0625}


def test_a_new_home_gets_the_presets_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    shutil.copytree(Path(str(home_module._PACKAGE)) / "templates", package / "templates")
    demo = package / "defs" / "demo"
    demo.mkdir(parents=True)
    (demo / "defs.yaml").write_text("# defs\n")
    monkeypatch.setattr(home_module, "_PACKAGE", package)
    home_module.make_home(tmp_path / "without")
    assert [path.name for path in (tmp_path / "without" / "defs" / "demo").iterdir()] == ["defs.yaml"]
    (demo / "presets.yaml").write_text("# presets\n")
    written = home_module.make_home(tmp_path / "home")
    copied = tmp_path / "home" / "defs" / "demo" / "presets.yaml"
    assert copied in written
    assert copied.read_text() == "# presets\n"
