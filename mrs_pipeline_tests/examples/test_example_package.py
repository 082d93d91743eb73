"""The package in `examples/`, installed as anybody's would be: its names appear, run, and are told apart from ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrs_pipeline_tests.cli.shops import PROJECT, Outcome, add_shop, in_a_process, make_home

SETTINGS = """\
type: mrs_pipeline.orchestration.Dataset
attributes:
  name: shop
  source: {path: raw/shop}
  features:
    - {encoder: title_shape, columns: [description]}
  models:
    most_pop:
    recent_pop: {half_life_days: 0.1}
  evaluation: {metrics: [recall, ndcg, long_tail]}
"""
CONFORMING = "recent_pop and not beats_popularity"
"""What is the same for everybody cannot beat what is popular with everybody."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package and its metadata."""
    root = tmp_path_factory.mktemp("package")
    shutil.copytree(
        PROJECT / "examples" / "mrs_example", root / "source"
    )  # building writes beside the sources
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--target", str(root / "site"), str(root / "source")], check=True)
    return root / "site"


class Home:
    """A home whose processes see the installed package."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root, self.site = root, site
        self.defs = root / "defs" / "shop" / "defs.yaml"

    def __call__(self, *arguments: str) -> Outcome:
        paths = os.pathsep.join([str(PROJECT), str(self.site)])
        return in_a_process(self.root, *arguments, PYTHONPATH=paths, OMP_NUM_THREADS="1", COLUMNS="200")


@pytest.fixture(scope="module")
def home(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Run once, with one model of ours and one of the package."""
    root = tmp_path_factory.mktemp("homes") / "home"
    make_home(root)
    shop = add_shop(root)
    shop.defs.write_text(SETTINGS)
    mrs = Home(root, installed)
    ran = mrs("run", "shop")
    assert ran.code == 0, ran.err
    yield mrs


def test_the_model_is_listed_and_ranked(home: Home) -> None:
    assert "recent_pop" in home("models").out
    board = home("query", "SELECT model FROM eval.leaderboard WHERE dataset = 'shop' ORDER BY model", "--csv")
    assert board.out.split() == ["model", "most_pop", "recent_pop"]
    lists = home("query", "SELECT DISTINCT model FROM serving.recommendations ORDER BY model", "--csv")
    assert "recent_pop" in lists.out


def test_the_encoder_has_made_a_feature_set(home: Home) -> None:
    found = home(
        "query",
        "SELECT count(*) FILTER (present), len(any_value(vector)) FROM features.shop_text_title_shape",
        "--csv",
    )
    assert found.out.splitlines()[1] == "60,4"


def test_an_edit_of_the_package_makes_its_own_model_due_and_nothing_else(home: Home) -> None:
    made = _made_by(home)
    source = home.site / "mrs_example" / "recent_pop.py"
    source.write_text(source.read_text().replace("0.5 ** (days", "0.25 ** (days"))
    assert home("run", "shop").code == 0
    models = {
        f"{stage}/recent_pop"
        for stage in ("trained", "final", "vectors", "index", "recommendations", "metrics")
    }
    assert _remade(made, _made_by(home)) == models


def _made_by(home: Home) -> dict[str, str]:
    """Asset -> the run that made what is stored."""
    sql = "SELECT asset, max_by(run, made_at) AS run FROM lineage.materializations GROUP BY asset"
    asked = home("query", sql, "--csv")
    assert asked.code == 0, asked.err
    return dict(line.split(",") for line in asked.out.splitlines()[1:])


def _remade(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """What was made again, without what stands above all windows and is looked at in every run."""
    assert set(before) == set(after)
    return {asset for asset in after if after[asset] != before[asset]} - {"eval/leaderboard", "eval/report"}


def test_settings_of_plug_ins_are_refused_with_file_and_line(home: Home) -> None:
    text = home.defs.read_text()
    wrong = text.replace("half_life_days: 0.1", "half_life_days: 0, half_life: 1")
    home.defs.write_text(wrong.replace("columns: [description]", "log_length: maybe"))
    try:
        refused = home("datasets")
    finally:
        home.defs.write_text(text)
    assert refused.code == 1
    for line, words in (
        (6, "features.0.log_length: Input should be a valid boolean"),
        (9, "models.recent_pop.half_life_days: Input should be greater than 0"),
        (9, "models.recent_pop.half_life: there is no such key here"),
    ):
        assert f"defs.yaml:{line}: {words}" in refused.sentence


def test_without_the_package_its_names_are_unknown(home: Home) -> None:
    alone = Home(home.root, home.root)
    assert "models.recent_pop: there is no such key here" in alone("datasets").sentence


def test_the_model_does_what_every_model_must(installed: Path) -> None:
    paths = os.pathsep.join([str(PROJECT), str(installed)])
    suite = PROJECT / "mrs_pipeline_tests" / "models" / "test_conformance.py"
    command = [sys.executable, "-m", "pytest", str(suite), "-k", CONFORMING, "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": paths, "MRS_CONFORM": "recent_pop"}
    ran = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count(".") >= 10  # a dot a test


def test_the_notebook_interface_fits_and_loads_it_and_names_the_package_where_it_is_gone(
    installed: Path, tmp_path: Path
) -> None:
    fit = """
import json, sys
from mrs_pipeline import Dataset, evaluate, fit, load, recommend
rows = {"user_id": [1] * 5 + [2] * 5, "item_id": list("abcdebcade"), "at": list(range(10))}
model = fit(Dataset.of(rows, time="at").split("leave_one_out"), "recent_pop", half_life_days=1.0)
again = load(model.save(sys.argv[1]))
print(json.dumps(recommend(again, histories={"me": ["a"]}, k=2)["item_id"].to_list()))
"""
    load = "import sys; from mrs_pipeline import load; load(sys.argv[1])"
    paths = os.pathsep.join([str(PROJECT), str(installed)])
    done = _python(fit, tmp_path / "kept", paths)
    assert len(json.loads(done.stdout)) == 2, done.stderr
    gone = _python(load, tmp_path / "kept", str(PROJECT))
    assert "of the package mrs-example, which is not installed; install it" in gone.stderr


def test_the_metric_is_measured(home: Home) -> None:
    found = home("query", "SELECT DISTINCT metric FROM eval.metrics WHERE metric = 'long_tail'", "--csv")
    assert found.out.split() == ["metric", "long_tail"]


def _python(code: str, folder: Path, paths: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
