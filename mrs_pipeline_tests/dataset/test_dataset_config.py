"""What the attributes of a `defs.yaml` may say, without reading one."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stages.model_tasks import model_tasks

SOURCE = {"reader": "demo"}
TEXT = {"modality": "text", "encoder": "tfidf_svd"}


def _config(**attributes: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "shop", "source": SOURCE, **attributes})


def test_name_and_source_are_enough() -> None:
    config = _config()
    assert not config.windowed
    assert config.model_configs == {}
    assert config.feature_names == ()
    assert config.seeds == (1,)
    assert not config.automation.retrain
    assert not config.automation.watch


def test_a_bare_model_name_means_its_defaults() -> None:
    config = _config(models={"lightgcn": None, "most_pop": {}})
    assert config.model_configs == {
        "most_pop": MODELS["most_pop"].Config(),
        "lightgcn": MODELS["lightgcn"].Config(),
    }


def test_overrides_reach_the_model_and_no_other() -> None:
    config = _config(models={"lightgcn": {"n_layers": 4}, "bpr_mf": None})
    assert config.model_configs["lightgcn"].n_layers == 4
    assert config.model_configs["lightgcn"].embedding_size == MODELS["lightgcn"].Config().embedding_size
    assert config.model_configs["bpr_mf"] == MODELS["bpr_mf"].Config()


def test_every_registered_model_can_be_listed() -> None:
    config = _config(models=dict.fromkeys(MODELS), knowledge={"attributes": ["genre"]})
    assert list(config.model_configs) == list(MODELS)


def test_a_model_that_needs_a_knowledge_graph_asks_for_its_section() -> None:
    with pytest.raises(
        ValidationError, match="models: kgat needs a knowledge graph; add a `knowledge:` section"
    ):
        _config(models={"kgat": None})


def test_models_get_the_first_feature_set_of_a_modality() -> None:
    config = _config(features=[TEXT, {**TEXT, "name": "titles", "columns": ["title"]}])
    assert config.feature_names == ("text_tfidf_svd", "text_titles")
    assert config.model_features == {"text": "text_tfidf_svd"}
    assert config.feature("text_titles").columns == ("title",)
    with pytest.raises(KeyError):
        config.feature("text_other")


def test_settings_survive_json() -> None:
    config = _config(
        models={"freedom": {"knn_k": 3}},
        features=[TEXT, {"modality": "image", "encoder": "color_gradient"}],
        window={"every": "month", "start": "2024-01"},
        interactions={"min_rating": 3.5, "k_core": 4},
    )
    assert DatasetConfig.model_validate_json(config.model_dump_json(exclude_unset=True)) == config


@pytest.mark.parametrize(
    ("attributes", "where", "sentence"),
    [
        ({"colour": "red"}, ("colour",), "Extra inputs"),
        ({"name": "My Shop"}, ("name",), "match pattern"),
        ({"name": "../shop"}, ("name",), "match pattern"),
        ({"models": {"lightgnc": None}}, ("models", "lightgnc"), "Extra inputs"),
        ({"models": {"lightgcn": {"layers": 2}}}, ("models", "lightgcn", "layers"), "Extra inputs"),
        ({"models": {"lightgcn": {"n_layers": -1}}}, ("models", "lightgcn", "n_layers"), "greater than"),
        ({"features": [TEXT, TEXT]}, (), "text_tfidf_svd is listed twice"),
        ({"features": [{"modality": "text", "encoder": "magic"}]}, ("features", 0), "'magic'"),
        ({"seeds": []}, ("seeds",), "each once"),
        ({"seeds": [1, 2, 1]}, ("seeds",), "each once"),
        ({"knn_k": 0}, ("knn_k",), "greater than"),
        ({"user_k": 0}, ("user_k",), "greater than"),
        (
            {"user_k": 30, "models": {"dualgnn": None}},
            (),
            "models.dualgnn.user_k is 40 but the graph of users holds 30",
        ),
        ({"window": {"every": "month"}}, ("window",), "needs window.start"),
        ({"split": {"valid": 0.5, "test": 0.5}}, ("split",), "at most 0.9"),
        ({"split": {"strategy": "by_chance"}}, ("split", "strategy"), "'random'"),
        ({"training": {"epochs": 0}}, ("training", "epochs"), "greater than"),
        ({"evaluation": {"ks": [5, 10]}}, (), "must contain 20"),
        ({"evaluation": {"exclude": "nothing"}}, ("evaluation", "exclude"), "'train'"),
        ({"automation": {"watch": "sometimes"}}, ("automation", "watch"), "valid boolean"),
        ({"source": {"reader": "folder"}}, ("source", "path"), "Field required"),
        ({"source": {"reader": "excel"}}, ("source",), "the readers are folder, mmrec, demo"),
    ],
)
def test_bad_settings_are_refused_at_their_place(
    attributes: dict[str, Any], where: tuple[str | int, ...], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        _config(**attributes)
    error = refused.value.errors()[0]
    assert error["loc"][: len(where)] == where
    assert sentence in error["msg"]


def test_settings_load_without_the_heavy_libraries() -> None:
    """Reading a YAML file must not cost an encoder's or a report's imports."""
    heavy = "{'transformers', 'sklearn', 'skimage', 'librosa', 'great_expectations', 'matplotlib', 'dagster'}"
    code = f"import sys, mrs_pipeline.dataset; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_first_steps_are_those_listed_and_those_that_models_need() -> None:
    assert _config(models={"bpr_mf": None}).pretraining_configs == {}
    needed = _config(models={"pmgt": None})
    assert needed.pretraining_configs == {"pmgt": PRETRAINERS["pmgt"].Config()}
    listed = _config(models={"pmgt": None}, pretraining={"pmgt": {"epochs": 3}, "pamd": None})
    assert listed.pretraining_configs["pmgt"].epochs == 3
    assert list(listed.pretraining_configs) == ["pmgt", "pamd"]


@pytest.mark.parametrize("section", [{"pmtg": None}, {"pmgt": {"epochs": 0}}, {"pamd": {"hops": [3]}}])
def test_mistakes_in_first_steps_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="pretraining"):
        _config(pretraining=section)


def test_training_of_one_model_leaves_the_others_as_they_are() -> None:
    config = _config(training={"batch_size": 512}, model_training={"bm3": {"patience": 40}})
    assert config.training_of("bm3") == config.training.model_copy(update={"patience": 40})
    assert config.training_of("lightgcn") == config.training


def test_training_of_one_model_retrains_only_that_model() -> None:
    plain, patient = (_config(model_training=own) for own in ({}, {"bm3": {"patience": 40}}))

    def settings(config: DatasetConfig, name: str) -> list[str]:
        return [task.settings for task in model_tasks(config, name, MODELS[name].Config())]

    assert settings(plain, "lightgcn") == settings(patient, "lightgcn")
    trained, *others = zip(settings(plain, "bm3"), settings(patient, "bm3"), strict=True)
    assert trained[0] != trained[1]
    assert all(before == after for before, after in others)


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"bmm3": {"patience": 40}}, "model_training: there is no model bmm3"),
        ({"bm3": {"patient": 40}}, "model_training.bm3.patient: Extra inputs are not permitted"),
        ({"bm3": {"patience": 0}}, "model_training.bm3.patience: Input should be greater than or equal to 1"),
    ],
)
def test_training_of_one_model_names_what_is_wrong(own: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        _config(model_training=own)
