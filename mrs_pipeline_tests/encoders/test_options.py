import subprocess
import sys

import pytest
from pydantic import ValidationError

from mrs_pipeline.encoders.options import feature_set_name


def test_the_yaml_entry_picks_the_options_class(parse):
    options = parse(modality="text", encoder="tfidf_svd", dimensions=16, columns=["title"])
    assert (options.dimensions, options.columns) == (16, ("title",))
    assert feature_set_name(options) == "text_tfidf_svd"


def test_a_name_of_its_own_takes_the_encoders_place(parse):
    assert feature_set_name(parse(modality="text", encoder="tfidf_svd", name="titles")) == "text_titles"


@pytest.mark.parametrize(
    "entry",
    [
        {"modality": "text", "encoder": "no_such"},
        {"modality": "image", "encoder": "tfidf_svd"},
        {"modality": "text", "encoder": "tfidf_svd", "dimension": 16},
        {"modality": "text", "encoder": "tfidf_svd", "columns": []},
        {"modality": "text", "encoder": "tfidf_svd", "name": "../up"},
        {"modality": "image", "encoder": "color_gradient", "max_pixels": 0},
        {"modality": "smell", "encoder": "identity", "matrix": "m"},
        {"modality": "audio", "encoder": "log_mel", "bands": 16, "coefficients": 16},
        {"encoder": "transformer", "model": "./m", "pooling": "mean"},
        {"modality": "audio", "encoder": "clip", "model": "./m"},
        {"modality": "image", "encoder": "transformer", "model": "./m"},
        {"modality": "video", "encoder": "frames", "image": {"encoder": "tfidf_svd"}},
    ],
)
def test_what_does_not_fit_is_refused(parse, entry):
    with pytest.raises(ValidationError):
        parse(**entry)


@pytest.mark.parametrize("modality", ["text", "image", "audio", "video"])
def test_one_encoder_name_serves_every_modality(parse, modality):
    options = parse(modality=modality, encoder="transformer", model="./m", pooling="mean")
    assert feature_set_name(options) == f"{modality}_transformer"
    assert type(options).__name__ == f"{modality.title()}TransformerOptions"


def test_options_survive_a_round_trip(parse):
    options = parse(modality="video", encoder="frames", image={"encoder": "color_gradient", "size": 64})
    assert parse(**options.model_dump(mode="json")) == options


def test_options_load_without_the_heavy_libraries():
    code = (
        "import sys, mrs_pipeline.encoders.options\n"
        "heavy = {'torch', 'sklearn', 'skimage', 'transformers', 'librosa', 'PIL', 'av', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
