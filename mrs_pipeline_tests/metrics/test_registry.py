"""Metrics by name: our own, those of installed packages, and what happens with a bad one."""

import subprocess
import sys

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.metrics import registry
from mrs_pipeline.metrics.registry import METRICS, metric_roots, metrics_of
from mrs_pipeline.registry import Registry

SOURCE = """
from mrs_pipeline.metrics.base import Metric

def two_hits(evidence, k):
    return (evidence.found(k) > 1).astype(float)

TWICE = Metric(name="twice", title="Two hits", formula="1 if the list holds two", source="-", per_user=two_hits)
NUMBER = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install(name, target)` installs a package with one metric and gives the registry as it then is."""

    def package(name: str, target: str) -> Registry:
        (tmp_path / "shop_metrics.py").write_text(SOURCE)
        info = tmp_path / "shop_metrics-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-metrics\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{METRICS.group}]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return Registry(METRICS.group, METRICS.kind, METRICS._own, registry._flaw)

    yield package
    sys.modules.pop("shop_metrics", None)


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert name == metric.name
        assert name.isidentifier()
        assert metric.title
        assert metric.formula
        assert metric.source
        assert metric.low < metric.high
        assert (metric.per_user is None) != (metric.overall is None)


def test_names_that_select_have_accuracy_of_each_user():
    able = {name for name, metric in METRICS.items() if metric.selects}
    assert able == {"recall", "ndcg", "precision", "map", "mrr", "hit"}


def test_an_installed_package_adds_a_metric(install):
    found = install("twice", "shop_metrics:TWICE")
    assert list(found)[-1] == "twice"
    assert found["twice"].title == "Two hits"
    assert found.reference("twice") == "shop_metrics:TWICE"


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("twice", "shop_metrics:ABSENT", "cannot be loaded from shop_metrics:ABSENT"),
        ("twice", "no_such_module:TWICE", "cannot be loaded"),
        ("twice", "shop_metrics:NUMBER", "is no mrs_pipeline.metrics.base.Metric"),
        ("thrice", "shop_metrics:TWICE", "calls itself 'twice'"),
        ("recall", "shop_metrics:TWICE", "registered by mrs-pipeline and by shop-metrics"),
    ],
)
def test_a_bad_metric_is_named_with_its_package(install, name, target, message):
    with pytest.raises(InputError, match=message):
        install(name, target)[name]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"'recal' \(did you mean 'recall'\?\); the metrics are recall, ndcg"
    ):
        metrics_of(["recal"])


def test_roots_are_where_metrics_are_defined():
    assert metric_roots(["recall", "map"]) == (
        "mrs_pipeline.metrics.recall:RECALL",
        "mrs_pipeline.metrics.average_precision:MAP",
    )


def test_settings_are_checked_without_torch():
    program = (
        "import sys; from mrs_pipeline.evaluation.options import EvaluationOptions; EvaluationOptions(); "
        "print([name for name in ('torch', 'scipy', 'polars') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
