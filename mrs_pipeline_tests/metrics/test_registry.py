"""Metrics by name: our own, those of installed packages, and what happens with a bad one."""

import subprocess
import sys

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.metrics import registry

METRIC = """
from mrs_pipeline.metrics.base import Metric

def share(evidence, k):
    return (evidence.found(k) > 1).astype(float)

TWICE = Metric(name={name!r}, title="Two hits", formula="1 if the list holds two", source="-", per_user=share)
NUMBER = 3
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that installs a package with one entry point; the registry is read afresh."""

    def install(target: str, name: str = "twice") -> None:
        (tmp_path / "shop_metrics.py").write_text(METRIC.format(name=name))
        info = tmp_path / "shop_metrics-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-metrics\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\ntwice = {target}\n")
        monkeypatch.syspath_prepend(tmp_path)
        _forget()

    yield install
    monkeypatch.undo()
    sys.modules.pop("shop_metrics", None)
    _forget()


def _forget() -> None:
    registry.metrics.cache_clear()
    registry._registered.cache_clear()


def test_every_metric_says_what_it_is():
    for name, metric in registry.metrics().items():
        assert name == metric.name
        assert name.isidentifier()
        assert "@" not in name
        assert metric.title
        assert metric.formula
        assert metric.source
        assert metric.low < metric.high
        assert (metric.per_user is None) != (metric.overall is None)


def test_names_that_select_have_accuracy_of_each_user():
    able = {name for name, metric in registry.metrics().items() if metric.selects}
    assert able == {"recall", "ndcg", "precision", "map", "mrr", "hit"}


def test_an_installed_package_adds_a_metric(package):
    package("shop_metrics:TWICE")
    assert list(registry.metrics())[-1] == "twice"
    assert registry.metrics()["twice"].title == "Two hits"
    (reference,) = registry.references(["twice"])
    assert (reference.target, reference.package, reference.version) == (
        "shop_metrics:TWICE",
        "shop-metrics",
        "1.2",
    )


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("shop_metrics:ABSENT", "twice", "shop-metrics names shop_metrics:ABSENT, which cannot be loaded"),
        ("no_such_module:TWICE", "twice", "which cannot be loaded"),
        ("shop_metrics:NUMBER", "twice", "which is no Metric"),
        ("shop_metrics:TWICE", "recall", "brings a metric 'recall', but mrs_pipeline has one of that name"),
    ],
)
def test_a_bad_metric_is_named_with_its_package(package, target, name, message):
    package(target, name)
    with pytest.raises(InputError, match=message):
        registry.metrics()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="no metric 'recal'; there are recall, ndcg"):
        registry.metrics_of(["recal"])


def test_settings_are_checked_without_torch():
    program = (
        "import sys; from mrs_pipeline.evaluation.options import EvaluationOptions; EvaluationOptions(); "
        "print([name for name in ('torch', 'scipy', 'polars') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
