"""Hostile YAML: `defs.yaml`, `dagster.yaml` and `presets.yaml`."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mrs_pipeline.orchestration.home import make_home
from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.orchestration.settings_files import require_instance_settings
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tuning.presets import read_presets
from mrs_pipeline_tests.hostile.case import CANARY, Case, hostile_pickle
from mrs_pipeline_tests.hostile.tables import GOOD, put

KIND = "YAML"
TYPE = "type: mrs_pipeline.orchestration.Dataset\n"
DEFS = f"{TYPE}attributes:\n  name: shop\n  source: {{path: raw}}\n  models: {{most_pop: }}\n"
COMMAND = f"cycler.__init__.__globals__.os.system('touch {CANARY}')"


def defs(content: str | bytes) -> Callable[[Path], None]:
    """A home whose only `defs.yaml` has this content, loaded."""

    def meets(root: Path) -> None:
        make_home(root)
        shutil.rmtree(root / "defs" / "demo")
        put(root, "raw/interactions.csv", GOOD)
        put(root, "defs/shop/defs.yaml", content)
        put(root, "defs/shop/evil.py", f"import os\nos.system('touch {CANARY}')\n")
        with pytest.MonkeyPatch.context() as patch:  # as the command line enters a home
            for name in [name for name in sys.modules if name.split(".")[0] == "defs"]:
                patch.delitem(sys.modules, name)
            patch.syspath_prepend(root)
            patch.setenv("MRS_HOME", str(root))
            load_project(Home(root))

    return meets


def instance(content: str | bytes) -> Callable[[Path], None]:
    def meets(root: Path) -> None:
        put(root, "dagster.yaml", content)
        require_instance_settings(root)

    return meets


def presets(content: str | bytes) -> Callable[[Path], None]:
    def meets(root: Path) -> None:
        put(root, "presets.yaml", content)
        read_presets(root / "presets.yaml")

    return meets


def bomb(levels: int = 9) -> str:
    """Ten to the power of `levels` values in a few hundred bytes."""
    names = "abcdefghijk"[: levels + 1]
    lines = [f"  {names[0]}: &{names[0]} [{', '.join('x' * 10)}]"]
    lines += [f"  {b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip(names, names[1:], strict=False)]
    return f"{TYPE}attributes:\n" + "\n".join(lines) + "\n"


def _with(old: str, new: str) -> Callable[[Path], None]:
    assert old in DEFS
    return defs(DEFS.replace(old, new, 1))


CASES = tuple(
    Case(KIND, name, meets, says)
    for name, meets, says in (
        ("an empty file", defs(""), "defs.yaml: this is empty; write `type:"),
        ("comments only", defs("# nothing\n"), "this is empty"),
        ("a document without contents", defs("---\n"), "this is empty"),
        ("random bytes", defs(bytes(range(128, 256))), "is not UTF-8 text"),
        ("a pickle", defs(hostile_pickle()), "defs.yaml"),
        ("UTF-16", defs(DEFS.encode("utf-16")), "is not UTF-8 text"),
        ("control characters", defs(f"{DEFS}  description: a\x01b\n"), "this is not YAML"),
        ("a list", defs("- a\n- b\n"), "this holds no settings"),
        ("a text", defs("hello\n"), "this holds no settings"),
        ("a number", defs("42\n"), "this holds no settings"),
        (
            "attributes that are a list",
            defs(f"{TYPE}attributes: [1, 2]\n"),
            "defs.yaml:2: attributes: this must map",
        ),
        ("no attributes", defs(TYPE), "attributes: this must map"),
        ("no type", defs("attributes: {}\n"), "type: None is no dataset"),
        (
            "another type",
            defs("type: subprocess.Popen\nattributes: {}\n"),
            "type: subprocess.Popen is no dataset",
        ),
        ("a type that is a file beside it", defs("type: .evil.Thing\nattributes: {}\n"), "is no dataset"),
        (
            "a module of template variables",
            defs(f"template_vars_module: .evil\n{DEFS}"),
            "template_vars_module",
        ),
        (
            "a template that runs a command",
            _with("  models", f"  description: {{{{ {COMMAND} }}}}\n  models"),
            "defs.yaml:5",
        ),
        (
            "a template below post_processing",
            defs(
                f'{DEFS}post_processing: {{assets: [{{attributes: {{description: "{{{{ {COMMAND} }}}}"}}}}]}}\n'
            ),
            "post_processing: there is no such key here",
        ),
        (
            "a tag that calls a function",
            defs(f"{TYPE}attributes: !!python/object/apply:os.system ['touch {CANARY}']\n"),
            "has the tag !!python/object/apply:os.system, which is refused",
        ),
        (
            "a tag that makes an object",
            defs(f"{TYPE}attributes: !!python/object/new:subprocess.Popen [['touch', '{CANARY}']]\n"),
            "which is refused",
        ),
        (
            "a tag that names a module",
            defs(f"{TYPE}attributes: !!python/module:evil ''\n"),
            "which is refused",
        ),
        ("a tag of its own", _with("shop", "!mine shop"), "the tag !mine, which is refused"),
        ("bytes as a value", _with("shop", "!!binary aGFjaw=="), "the tag !!binary, which is refused"),
        (
            "a bomb of a billion anchors",
            defs(bomb()),
            "more than 100,000 values once its aliases are expanded",
        ),
        (
            "an alias inside its own anchor",
            defs(f"{TYPE}attributes: &a {{name: *a}}\n"),
            "alias *a without a finished &a",
        ),
        ("an alias without an anchor", defs(f"{TYPE}attributes: {{name: *nobody}}\n"), "alias *nobody"),
        (
            "nested 100,000 deep",
            defs(f"{TYPE}attributes: {'[' * 100_000}{']' * 100_000}\n"),
            "nested deeper than 64",
        ),
        ("a file of 1 MB", defs(DEFS + "#" * 1_000_000), "larger than 256 KiB"),
        ("a key twice", defs(f"{DEFS}  name: other\n"), "says 'name' twice"),
        ("a key that is a list", defs(f"{TYPE}attributes: {{? [a] : b}}\n"), "a key that is no word"),
        ("a tab", defs(f"{TYPE}attributes:\n\tname: a\n"), "defs.yaml:3: this is not YAML"),
        ("an unclosed bracket", defs(f"{TYPE}attributes: [\n"), "this is not YAML"),
        ("a date that there is not", _with("shop", "2024-13-45"), "defs.yaml"),
        ("a name that leads out of the home", _with("shop", "../../etc"), "defs.yaml:3: name"),
        ("a source folder that is a file", _with("path: raw", "path: raw/interactions.csv"), "is a file"),
        (
            "a number of a million digits",
            _with("most_pop: ", f"ease: {{regularization: {'9' * 100_000}}}"),
            "defs.yaml",
        ),
        ("NaN as a setting", _with("most_pop: ", "ease: {regularization: .nan}"), "defs.yaml:5"),
        ("a model that is not there", _with("most_pop", "os.system"), "models.os.system"),
        ("a regular expression bomb as a name", _with("shop", "a" * 50_000 + "!"), "defs.yaml:3: name"),
        ("dagster.yaml: a list", instance("- a\n"), "dagster.yaml: this does not map"),
        ("dagster.yaml: random bytes", instance(bytes(range(128, 256))), "is not UTF-8 text"),
        (
            "dagster.yaml: a tag that calls",
            instance(f"a: !!python/object/apply:os.system ['touch {CANARY}']\n"),
            "refused",
        ),
        ("dagster.yaml: a bomb", instance(bomb()), "more than 100,000 values"),
        ("presets.yaml: a list", presets("- a\n"), "presets.yaml: this must map"),
        ("presets.yaml: a bomb", presets(bomb()), "more than 100,000 values"),
        ("presets.yaml: a tag that calls", presets("ease: !!python/name:os.system ''\n"), "which is refused"),
        ("presets.yaml: an unknown model", presets("evil: {settings: {}}\n"), "there is no such model"),
        ("presets.yaml: a model without a search", presets("ease: {settings: {}}\n"), "presets.yaml: ease"),
    )
)
