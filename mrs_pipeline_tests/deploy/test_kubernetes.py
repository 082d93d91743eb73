"""The manifests under `deploy/`: of the right shape, without secrets, bounded, taken by the programs they are for."""

import re
from typing import Any

import jsonschema
import pytest
import yaml

from mrs_pipeline.errors import InputError
from mrs_pipeline.orchestration.executors import EXECUTOR_VARIABLE, executor
from mrs_pipeline.storage.home import HOME_VARIABLE, STORE_VARIABLE
from mrs_pipeline_tests.cli.shops import PROJECT

FOLDER = PROJECT / "deploy" / "kubernetes"
KINDS = [
    *("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Deployment"),
    *("RayCluster", "PersistentVolumeClaim"),
]
FILES = ("mrs.yaml", "ray.yaml")
CONTAINER = {
    "type": "object",
    "required": ["name", "image", "resources", "securityContext"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string", "pattern": r":[0-9][\w.-]*$"},
        "securityContext": {
            "properties": {"allowPrivilegeEscalation": {"const": False}},
            "required": ["allowPrivilegeEscalation"],
        },
        "resources": {
            "required": ["requests", "limits"],
            "properties": {
                "requests": {"required": ["cpu", "memory"]},
                "limits": {"required": ["memory"], "properties": {"memory": {"pattern": "^[0-9]+(Mi|Gi)$"}}},
            },
        },
        "env": {"items": {"required": ["name", "valueFrom"]}},
    },
    "additionalProperties": False,
    "patternProperties": {"^(command|args|envFrom|volumeMounts|ports)$": {"type": "array"}},
}  # fmt: skip
POD = {
    "type": "object",
    "required": ["containers", "securityContext"],
    "properties": {
        "containers": {"type": "array", "minItems": 1, "items": CONTAINER},
        "securityContext": {"required": ["runAsNonRoot"], "properties": {"runAsNonRoot": {"const": True}}},
        "hostNetwork": False,
    },
}
DOCUMENT = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata"],
    "properties": {
        "apiVersion": {"type": "string", "pattern": r"^([a-z0-9.]+/)?v[0-9]+\w*$"},
        "kind": {"enum": KINDS},
        "metadata": {"required": ["name", "namespace"], "properties": {"namespace": {"const": "mrs"}}},
        "data": {"additionalProperties": {"type": "string"}},
    },
}  # fmt: skip


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def pods(value: Any) -> list[dict[str, Any]]:
    """Every pod template, wherever it stands."""
    if isinstance(value, list):
        return [each for entry in value for each in pods(entry)]
    if not isinstance(value, dict):
        return []
    found = [value["template"]["spec"]] if "spec" in value.get("template", {}) else []
    return found + [each for entry in value.values() for each in pods(entry)]


@pytest.mark.parametrize("name", FILES)
def test_manifests_have_the_shape_that_they_must(name: str) -> None:
    found = documents(name)
    for document in found:
        jsonschema.validate(document, DOCUMENT)
    templates = pods(found)
    assert templates
    for pod in templates:
        jsonschema.validate(pod, POD)


@pytest.mark.parametrize(
    "fault",
    [
        {"image": "mrs:latest"},
        {"image": "mrs"},
        {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
        {"securityContext": {"allowPrivilegeEscalation": True}},
        {"env": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]},
        {"comand": ["x"]},
    ],
)
def test_planted_faults_are_found(fault: dict[str, Any]) -> None:
    pod = pods(documents("mrs.yaml"))[0]
    pod["containers"][0] |= fault
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pod, POD)


def test_what_is_named_is_there() -> None:
    found = documents("mrs.yaml")
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    assert ("ConfigMap", "mrs-settings") in names and ("ServiceAccount", "mrs") in names
    settings = next(each["data"] for each in found if each["kind"] == "ConfigMap")
    assert {HOME_VARIABLE, STORE_VARIABLE, EXECUTOR_VARIABLE, "DAGSTER_HOME"} <= settings.keys()
    sources = "\n".join(path.read_text() for path in (PROJECT / "mrs_pipeline").rglob("*.py"))
    for variable in settings.keys() | {"MRS_RAY"}:
        assert variable == "DAGSTER_HOME" or f'"{variable}"' in sources, variable
    for name in FILES:
        assert not re.search(
            r"(password|secret|key)\s*[:=]\s*['\"]?[A-Za-z0-9/+]{8,}", (FOLDER / name).read_text(), re.I
        )


@pytest.mark.parametrize("folder", ["kubernetes", "postgres"])
def test_dagster_takes_its_settings(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_postgres")
    launchers = pytest.importorskip("dagster_k8s")
    from dagster._config import validate_config
    from dagster._core.instance.config import dagster_instance_config

    monkeypatch.setenv("MRS_POSTGRES_PASSWORD", "x")
    settings, _ = dagster_instance_config(str(PROJECT / "deploy" / folder))
    assert "postgres" in settings["storage"]
    if folder == "kubernetes":
        chosen = settings["run_launcher"]
        launcher = getattr(launchers, chosen["class"])
        assert validate_config(launcher.config_type(), chosen["config"]).success
        assert not validate_config(
            launcher.config_type(), {**chosen["config"], "job_namspace": "mrs"}
        ).success


def test_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXECUTOR_VARIABLE, raising=False)
    assert executor({"max_concurrent": 1}).name == "multiprocess"
    monkeypatch.setenv(EXECUTOR_VARIABLE, "one_process")
    assert executor({"max_concurrent": 1}).name == "in_process"
    for name, module, found in (("ray", "dagster_ray", "ray"), ("kubernetes", "dagster_k8s", "k8s")):
        pytest.importorskip(module)
        monkeypatch.setenv(EXECUTOR_VARIABLE, name)
        assert executor({}).name.startswith(found)
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, module, None)
            with pytest.raises(
                InputError, match=rf"MRS_EXECUTOR={name} needs {module}.*pip install 'mrs-pipeline\["
            ):
                executor({})
    monkeypatch.setenv(EXECUTOR_VARIABLE, "slurm")
    with pytest.raises(
        InputError, match="'slurm'; the executors are processes, one_process, ray, kubernetes"
    ):
        executor({})
