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
IMAGE = {"modality": "image", "encoder": "color_gradient"}
REGIONS = {"modality": "image", "encoder": "efficientnet_lite0", "pooling": "none"}


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
    config = _config(
        models=dict.fromkeys(MODELS),
        features=[TEXT, IMAGE, REGIONS],
        knowledge={"attributes": ["genre"]},
        raw=[{"modality": "text", "encoder": "tokens"}],
    )
    assert list(config.model_configs) == list(MODELS)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"models": {"kgat": None}}, "models.kgat needs a knowledge graph and the dataset has none; add a"),
        (
            {"models": {"vbpr": None}},
            "models.vbpr needs item features and the dataset has none; list a feature",
        ),
        (
            {"models": {"end_to_end": None}},
            "models.end_to_end needs raw content, decoded pictures or tokens, and",
        ),
        ({"pretraining": {"pamd": None}}, "pretraining.pamd needs item features and the dataset has none"),
        (
            {"models": {"item_knn": {"source": "content"}}},
            "models.item_knn with source: content needs item features and the dataset has none; list a feature set "
            "under `features:` or set source: interactions",
        ),
        (
            {"models": {"lattice": {"knn_k": 20}}, "features": [TEXT]},
            "models.lattice.knn_k is 20 but the item graphs hold 10 neighbours a row; raise item_graph_k to 20 or "
            "lower knn_k",
        ),
        (
            {"models": {"freedom": None}, "features": [TEXT], "item_graph_k": 9},
            "models.freedom.knn_k is 10 but",
        ),
        (
            {"models": {"smore": {"modality_knn_k": {"audio": 3}}}, "features": [TEXT]},
            "models.smore has a modality_knn_k for 'audio' but the features are ['text']; take it out",
        ),
        (
            {"models": {"freedom": {"modality_weights": {"text": 0.5, "image": 0.5}}}, "features": [TEXT]},
            "models.freedom must name exactly ['text'] in modality_weights; 'image' does not fit",
        ),
        (
            {"models": {"dualgnn": None}, "features": [TEXT], "user_graph_k": 30},
            "models.dualgnn.user_k is 40 but the graph of users holds 30 neighbours a row; raise user_graph_k to 40",
        ),
        (
            {"pretraining": {"pmgt": {"walk_k": 11}}, "features": [TEXT]},
            "pretraining.pmgt.walk_k is 11 but the item graphs hold 10 neighbours a row; raise item_graph_k to 11",
        ),
        (
            {"pretraining": {"pmgt": {"mask_share": 0.6, "replace_share": 0.5}}, "features": [TEXT]},
            "mask_share 0.6 and replace_share 0.5 add up to more than 1; lower one of them",
        ),
        (
            {"models": {"most_pop": None, "lightgcn": None}, "split": {"valid": 0}},
            "models.lightgcn chooses its best epoch on validation rows and split.valid is 0; give it a share above 0",
        ),
    ],
)
def test_models_that_could_not_run_here_are_refused(attributes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _config(**attributes)
    (error,) = refused.value.errors()
    assert error["msg"].removeprefix("Value error, ").startswith(sentence)


@pytest.mark.parametrize("backbone", ["kgat", "end_to_end", "sasrec", "slmrec", "ease", "dropoutnet"])
def test_what_cannot_be_a_backbone_is_refused(backbone: str) -> None:
    with pytest.raises(
        ValidationError, match=f"'{backbone}' cannot be wrapped: a backbone needs interactions"
    ):
        _config(
            models={"dropoutnet": {"backbone": backbone}}, features=[TEXT], knowledge={"attributes": ["a"]}
        )


def test_settings_of_the_wrapper_are_not_its_backbones() -> None:
    with pytest.raises(ValidationError, match="settings.embedding_size is the wrapper's; set embedding_size"):
        _config(models={"dropoutnet": {"settings": {"embedding_size": 8}}}, features=[TEXT])


def test_what_can_run_on_graphs_and_splits_as_they_are_is_accepted() -> None:
    """The limits themselves, and shares of a split that does not use them."""
    wide = _config(models={"lattice": {"knn_k": 20}, "pmgt": None}, features=[TEXT], item_graph_k=20)
    assert wide.model_configs["lattice"].knn_k == 20
    _config(models={"dualgnn": {"user_k": 30}}, features=[TEXT], user_graph_k=30)
    _config(models={"ease": None}, split={"valid": 0})
    _config(models={"bpr_mf": None}, split={"valid": 0, "strategy": "given"})
    _config(pretraining={"pmgt": {"mask_share": 0.5, "replace_share": 0.5}}, features=[TEXT])


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"knn_k": 5}, "knn_k is now called item_graph_k; write `item_graph_k: 5`"),
        ({"user_k": 5}, "user_k is now called user_graph_k; write `user_graph_k: 5`"),
        ({"models": {"item_knn": {"knn_k": 5}}}, "knn_k is now called n_neighbours; write `n_neighbours: 5`"),
        ({"pretraining": {"pmgt": {"knn_k": 5}}}, "knn_k is now called walk_k; write `walk_k: 5`"),
    ],
)
def test_former_names_are_refused_with_the_new_one(attributes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _config(**attributes)
    (error,) = refused.value.errors()
    assert error["msg"] == f"Value error, {sentence}"


def test_models_get_the_first_feature_set_of_a_modality() -> None:
    config = _config(features=[TEXT, {**TEXT, "name": "titles", "columns": ["title"]}])
    assert config.feature_names == ("text_tfidf_svd", "text_titles")
    assert config.model_features == {"text": ("text_tfidf_svd",)}
    assert config.feature("text_titles").columns == ("title",)
    with pytest.raises(KeyError):
        config.feature("text_other")


TITLES = {**TEXT, "name": "titles", "columns": ["title"]}


def test_models_get_the_sets_that_modalities_names() -> None:
    joined = _config(features=[TEXT, TITLES, IMAGE], modalities={"text": ["text_titles", "text_tfidf_svd"]})
    assert joined.model_features == {"text": ("text_titles", "text_tfidf_svd")}
    apart = _config(features=[TEXT, TITLES], modalities={"titles": "text_titles", "texts": "text_tfidf_svd"})
    assert apart.model_features == {"titles": ("text_titles",), "texts": ("text_tfidf_svd",)}
    assert apart.first_features == {"text": "text_tfidf_svd"}
    assert DatasetConfig.model_validate_json(apart.model_dump_json()) == apart


@pytest.mark.parametrize(
    ("modalities", "sentence"),
    [
        (
            {"text": "text_bert"},
            "there is no feature set 'text_bert' (there are: text_tfidf_svd, image_color_gradient)",
        ),
        (
            {"text": ["text_tfidf_svd", "image_color_gradient"]},
            "image_color_gradient describes image; give the entry",
        ),
        ({"both": ["text_tfidf_svd", "text_tfidf_svd"]}, "modalities.both names a feature set twice"),
        ({"text": []}, "at least 1 item"),
        ({"My Text": "text_tfidf_svd"}, "should match pattern"),
    ],
)
def test_modalities_that_cannot_be(modalities: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _config(features=[TEXT, IMAGE], modalities=modalities)
    assert sentence in refused.value.errors()[0]["msg"]


def test_settings_survive_json() -> None:
    config = _config(
        models={"freedom": {"knn_k": 3}},
        features=[TEXT, IMAGE],
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
        ({"item_graph_k": 0}, ("item_graph_k",), "greater than"),
        ({"user_graph_k": 0}, ("user_graph_k",), "greater than"),
        ({"window": {"every": "month"}}, ("window",), "needs window.start"),
        ({"split": {"valid": 0.5, "test": 0.5}}, ("split",), "at most 0.9"),
        ({"split": {"strategy": "by_chance"}}, ("split", "strategy"), "'random'"),
        ({"models": {"kgat": {"layer_sizes": [8, 0]}}}, ("models", "kgat", "layer_sizes", 1), "greater than"),
        ({"pretraining": {"pmgt": {"hops": [0]}}}, ("pretraining", "pmgt", "hops", 0), "greater than"),
        (
            {"models": {"freedom": {"modality_weights": {"text": -1}}}},
            ("models", "freedom", "modality_weights", "text"),
            "greater than",
        ),
        ({"training": {"epochs": 0}}, ("training", "epochs"), "greater than"),
        ({"evaluation": {"ks": [5, 10]}}, (), "must contain 20"),
        ({"evaluation": {"exclude": "nothing"}}, ("evaluation", "exclude"), "'train'"),
        ({"evaluation": {"metrics": ["recall"]}}, (), "must contain ndcg"),
        ({"evaluation": {"metrics": ["recall", "ndgc"]}}, ("evaluation", "metrics"), "no metric 'ndgc'"),
        (
            {"evaluation": {"metrics": ["recall", "ndcg", "diversity"]}},
            (),
            "compares items by their features",
        ),
        (
            {"evaluation": {"metrics": ["recall", "ndcg", "calibration"]}},
            (),
            "calibration needs an attribute",
        ),
        ({"evaluation": {"select_on": "coverage@20"}}, ("evaluation", "select_on"), "one of recall, ndcg"),
        ({"automation": {"watch": "sometimes"}}, ("automation", "watch"), "valid boolean"),
        ({"source": {"reader": "folder"}}, ("source", "path"), "Field required"),
        ({"source": {"reader": "excel"}}, ("source",), "the readers are folder, mmrec, layout, demo"),
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
    needed = _config(models={"pmgt": None}, features=[TEXT])
    assert needed.pretraining_configs == {"pmgt": PRETRAINERS["pmgt"].Config()}
    listed = _config(
        models={"pmgt": None}, pretraining={"pmgt": {"epochs": 3}, "pamd": None}, features=[TEXT]
    )
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
