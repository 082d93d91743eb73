"""From the YAML files of a home to Dagster definitions, and refusals that name file and line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

import mrs_pipeline
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.orchestration.component import absence
from mrs_pipeline.orchestration.launch import run_dataset
from mrs_pipeline.orchestration.settings_files import require_settings
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

YAML = """\
type: mrs_pipeline.orchestration.Dataset
attributes:
  name: tiny
  source:
    reader: demo
  window: {every: month, start: 2024-01, end: 2024-12}
  interactions:
    min_rating: 3
  features:
    - {modality: text, encoder: tfidf_svd}
    - {modality: image, encoder: color_gradient}
  models:
    most_pop:
    lightgcn: {n_layers: 2}
  seeds: [1]
"""

ABSENT = {"name": "absent", "source": {"path": "nowhere"}, "models": {"most_pop": None}}

DEMO_KEYS = Path(__file__).with_name("demo_asset_keys.txt")


def _asset_keys(definitions: dg.Definitions) -> set[str]:
    return {homes.text(key) for key in definitions.resolve_asset_graph().get_all_asset_keys()}


@pytest.mark.parametrize(
    ("right", "wrong", "line", "sentence"),
    [
        (
            "    min_rating: 3",
            "    min_ratings: 3",
            8,
            "interactions.min_ratings: there is no such key here (did you mean 'min_rating'?)",
        ),
        ("seeds: [1]", "colour: red", 15, "colour: there is no such key"),
        ("  name: tiny\n", "", 2, "name: this key is missing"),
        ("name: tiny", "name: Tiny Shop", 3, "name: String should match"),
        (
            "    most_pop:",
            "    mostpop:",
            13,
            "models.mostpop: there is no such key here (did you mean 'most_pop'?)",
        ),
        ("n_layers: 2", "n_layers: many", 14, "models.lightgcn.n_layers: Input should be a valid integer"),
        (
            "n_layers: 2",
            "layers: 2",
            14,
            "models.lightgcn.layers: there is no such key here (did you mean 'n_layers'?)",
        ),
        ("encoder: color_gradient", "encoder: colours", 11, "'colours'"),
        ("image, encoder: color_gradient", "text, encoder: tfidf_svd", 2, "text_tfidf_svd is listed twice"),
        ("end: 2024-12", "end: 2023-12", 6, "window.end 2023-12 must lie after window.start 2024-01"),
        ("start: 2024-01", "start: 2024-1", 6, "'2024-1' is no month window"),
        ("every: month", "every: hour", 6, "window.every: Input should be 'none', 'day', 'week'"),
        ("seeds: [1]", "seeds: [1, 1]", 15, "each once"),
        ("models:", "models: [", 14, "this is not YAML"),
        ("attributes:", "attribute:", 2, "attribute: there is no such key here (did you mean 'attributes'?)"),
    ],
)
def test_a_mistake_is_refused_with_file_and_line(
    tmp_path: Path, right: str, wrong: str, line: int, sentence: str
) -> None:
    home = homes.make(tmp_path, homes.BARE)
    path = home.root / "defs" / "tiny" / "defs.yaml"
    path.write_text(YAML.replace(right, wrong, 1))
    with pytest.raises(InputError) as refused:
        homes.load(home)
    assert f"{path}:{line}: " in str(refused.value)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_unchanged_file_loads(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.BARE)
    (home.root / "defs" / "tiny" / "defs.yaml").write_text(YAML)
    assert homes.load(home).config("tiny").window.start == "2024-01"


def test_an_unknown_component_is_refused(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.BARE)
    path = home.root / "defs" / "tiny" / "defs.yaml"
    path.write_text(YAML.replace("orchestration.Dataset", "orchestration.Datasets"))
    with pytest.raises(
        InputError, match="Datasets is no dataset; write `type: mrs_pipeline.orchestration.Dataset`"
    ):
        homes.load(home)


def test_two_datasets_of_one_name_are_refused(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.BARE)
    other = home.root / "defs" / "other" / "defs.yaml"
    other.parent.mkdir()
    other.write_text(YAML)
    with pytest.raises(InputError, match="two defs.yaml files describe a dataset named tiny"):
        homes.load(home)


def test_a_second_file_is_a_second_dataset(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.BARE)
    before = _asset_keys(homes.load(home).definitions)
    homes.describe(home.root, {**homes.BARE, "name": "twin"})
    project = homes.load(home)
    after = _asset_keys(project.definitions)
    assert set(project.configs) == {"tiny", "twin"}
    assert after - before == {key.replace("tiny/", "twin/", 1) for key in before}


def test_an_absent_dataset_is_left_out_silently(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = homes.make(tmp_path, homes.BARE, ABSENT)
    capfd.readouterr()
    project = homes.load(home)
    assert "absent" not in capfd.readouterr().err
    assert "source.path" in (absence(project.configs["absent"], home.root) or "")
    assert absence(project.configs["tiny"], home.root) is None
    assert {key.partition("/")[0] for key in _asset_keys(project.definitions)} == {"tiny"}
    with homes.entered(home), pytest.raises(InputError, match="does not exist; correct source.path"):
        list(run_dataset(project, "absent", ["full"], None, False))


def test_a_folder_without_interactions_stops_only_its_own_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files come and go: a code location that is loaded while there are none still has all datasets."""
    (tmp_path / "home" / "shop").mkdir(parents=True)
    home = homes.make(
        tmp_path / "home", homes.BARE, {**homes.BARE, "name": "shop", "source": {"path": "shop"}}
    )
    project = homes.load(home)
    assert set(project.configs) == {"tiny", "shop"}
    assert "notice: dataset shop cannot be read" in capsys.readouterr().err
    assert project.definitions.resolve_sensor_def("shop_watch")
    with pytest.raises(InputError, match="shop has no interactions.csv"):
        homes.run(home, dataset="shop")


def test_an_unknown_dataset_window_or_model_is_refused(tmp_path: Path) -> None:
    home = homes.make(tmp_path, homes.BARE)
    project = homes.load(home)
    with pytest.raises(InputError, match="no dataset is called shop; this home has tiny"):
        project.config("shop")
    with homes.entered(home):
        with pytest.raises(InputError, match="cannot be run for window 2024-04: .* 2024-05 to 2024-12"):
            list(run_dataset(project, "tiny", ["2024-04"], None, False))
        with pytest.raises(InputError, match="does not list the model vbpr; its defs.yaml has most_pop"):
            list(run_dataset(project, "tiny", ["2024-05"], ["vbpr"], False))
    assert not home.lake.exists()


@pytest.fixture(scope="module")
def shipped(packs: Path) -> Iterator[dg.Definitions]:
    """The definitions of this checkout, as `dagster dev` loads them."""
    from mrs_pipeline.definitions import defs
    from mrs_pipeline.storage.home import Home

    checkout = Home(Path(__file__).resolve().parents[2])
    with pytest.MonkeyPatch.context() as patch, homes.entered(checkout):
        patch.setenv("MRS_DATA_ROOT", str(packs))
        yield defs()


def test_all_shipped_datasets_load(shipped: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(shipped)
    datasets = {key.partition("/")[0] for key in _asset_keys(shipped)}
    films = {"movielens", "movielens_cold", "movielens_next"}
    assert datasets == {"baby", "demo", "emotify", "tiktok", "xwines"} | films


def test_the_demo_has_the_assets_that_are_written_down(shipped: dg.Definitions) -> None:
    """A change of these keys renames what people have materialised: change the file by intent only."""
    found = sorted(key for key in _asset_keys(shipped) if key.startswith("demo/"))
    assert found == DEMO_KEYS.read_text().split()


def test_the_demo_has_a_model_in_every_cell_of_the_taxonomy() -> None:
    path = Path(mrs_pipeline.__file__).parent / "defs" / "demo" / "defs.yaml"
    models = yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"]["models"]
    assert {cell for name in models for cell in MODELS[name].spec.cells} == set(Cell)


def test_the_workspace_file_loads(tmp_path: Path) -> None:
    """`workspace.yaml` of a fresh home, by Dagster's own validation in a process of its own."""
    home = homes.make(tmp_path, homes.BARE, ABSENT)
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(
        command, cwd=home.root, env=homes.environment(home), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dataset absent" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "this has no root_module under .project.; remove it, and `mrs init`"),
        ("[project", "this is not TOML: .*; remove it, and `mrs init`"),
        (
            '[project]\nroot_module = "defs"\n',
            "the folder of the datasets' settings, is not there: `mrs init FOLDER`",
        ),
    ],
)
def test_a_home_that_is_not_whole_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "dg.toml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        require_settings(tmp_path)
