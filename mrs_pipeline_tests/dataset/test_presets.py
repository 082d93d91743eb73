"""Presets below what a `defs.yaml` says: their file, and who has the last word."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.tuning.presets import Preset, read_presets, write_preset

FOUND = {
    "command": "mrs tune shop lightgcn --trials 20 --save",
    "window": "full",
    "metric": "recall@20",
    "score": 0.25,
    "defaults_score": 0.2,
    "chosen": "found",
    "trials": 20,
    "diverged": 1,
    "seed": 1,
    "epochs": 100,
    "patience": 10,
    "fixed": {},
    "search_space": {"n_layers": [1, 2, 3]},
    "data_digest": "1234567890123456",
    "code_digest": "0123456789e12345",
}


def _preset(**settings: Any) -> Preset:
    return Preset.model_validate({"settings": settings, "found": FOUND})


def _config(**attributes: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "shop", "source": {"reader": "demo"}, **attributes})


def test_what_is_written_comes_on_top_of_a_preset_key_by_key() -> None:
    plain = _config(models={"lightgcn": {"n_layers": 4}, "bpr_mf": None})
    config = plain.with_presets({"lightgcn": {"n_layers": 1, "reg_weight": 0.5}})
    chosen = config.model_configs["lightgcn"]
    assert (chosen.n_layers, chosen.reg_weight) == (4, 0.5)
    assert chosen.model_fields_set == {"n_layers", "reg_weight"}
    assert config.settings_of("lightgcn") == {"n_layers": 4, "reg_weight": 0.5}
    assert config.written("lightgcn") == {"n_layers": 4}
    assert config.model_configs["bpr_mf"].model_fields_set == set()
    assert plain.settings_of("lightgcn") == {"n_layers": 4}  # frozen: the other is a copy
    assert config != plain


def test_a_model_off_the_list_has_its_preset_and_is_not_trained() -> None:
    config = _config(models={"bpr_mf": None}).with_presets({"vbpr": {"reg_weight": 0.5}})
    assert config.settings_of("vbpr") == {"reg_weight": 0.5}
    assert list(config.model_configs) == ["bpr_mf"]
    assert config.settings_of("freedom") == {}


def test_a_preset_survives_a_change_of_the_list() -> None:
    config = _config(models={"lightgcn": None}).with_presets({"lightgcn": {"n_layers": 1}})
    fewer = config.model_copy(update={"models": {}})
    assert fewer.model_configs == {}
    assert fewer.settings_of("lightgcn") == {"n_layers": 1}


def test_a_preset_that_does_not_go_with_the_rest_is_refused() -> None:
    text = [{"modality": "text", "encoder": "tfidf_svd"}]
    config = _config(user_graph_k=30, models={"dualgnn": {"user_k": 20}}, features=text)
    assert config.with_presets({"dualgnn": {"user_k": 40}}).model_configs["dualgnn"].user_k == 20
    wide = _config(user_graph_k=50, models={"dualgnn": None, "lattice": None}, features=text)
    with pytest.raises(ValueError, match="dualgnn.user_k is 60 but the graph of users holds 50"):
        wide.with_presets({"dualgnn": {"user_k": 60}})
    with pytest.raises(ValueError, match="lattice.knn_k is 11 but the item graphs hold 10"):
        wide.with_presets({"lattice": {"knn_k": 11}})
    with pytest.raises(ValueError, match=r"item_knn: knn_k is now called n_neighbours"):
        wide.with_presets({"item_knn": {"knn_k": 11}})


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "presets.yaml"
    assert read_presets(path) == {}
    first, second = _preset(n_layers=1, reg_weight=1e-5), _preset(reg_weight=0.5)
    write_preset(path, "shop", "lightgcn", first)
    write_preset(path, "shop", "bpr_mf", second)
    assert read_presets(path) == {"lightgcn": first, "bpr_mf": second}
    assert path.read_text().startswith("# Written by `mrs tune shop --save`")
    third = _preset(n_layers=2)
    write_preset(path, "shop", "lightgcn", third)
    assert list(read_presets(path).items()) == [("lightgcn", third), ("bpr_mf", second)]
    assert [each.name for each in tmp_path.iterdir()] == ["presets.yaml"]


def test_a_write_that_is_cut_off_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "presets.yaml"
    write_preset(path, "shop", "lightgcn", _preset(n_layers=1))
    before = path.read_text()

    def full(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_preset(path, "shop", "bpr_mf", _preset(reg_weight=0.5))
    assert path.read_text() == before


def _entries(model: str = "lightgcn", **changed: Any) -> str:
    preset = {"settings": {"n_layers": 2}, "found": FOUND, **changed}
    return yaml.safe_dump({model: preset})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            _entries("lightgnc"),
            "lightgnc: there is no such model (did you mean 'lightgcn'?); see `mrs models`",
        ),
        (_entries(settings={"layers": 2}), "lightgcn.settings.layers: there is no such key"),
        (
            _entries(settings={"n_layers": "many"}),
            "lightgcn.settings.n_layers: Input should be a valid integer",
        ),
        (_entries(settings={"n_layers": 99}), "lightgcn.settings.n_layers: Input should be less than"),
        (_entries(settings=[1]), "lightgcn.settings: Input should be a valid dict"),
        (_entries(colour="red"), "lightgcn.colour: there is no such key"),
        (_entries(found={**FOUND, "colour": "red"}), "lightgcn.found.colour: there is no such key"),
        (
            _entries(found={**FOUND, "trials": "few"}),
            "lightgcn.found.trials: Input should be a valid integer",
        ),
        (_entries(found={**FOUND, "score": float("nan")}), "lightgcn.found.score: Input should be a finite"),
        (yaml.safe_dump({"lightgcn": {"settings": {}}}), "lightgcn.found: this key is missing"),
        ("lightgcn:\n", "lightgcn: Input should be a valid dictionary"),
        ("- lightgcn\n", "this must map names of models to presets"),
        ("lightgcn: {settings: [\n", "this is not YAML"),
        ("lightgcn: \x07\n", "this is not YAML"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_key_and_remedy(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "presets.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_presets(path)
    told = str(refused.value)
    assert told.startswith(str(path))
    assert sentence in told
    assert "correct" in told
    assert "\n" not in told
