"""Each construct of the language in a small package: what the root's closure sees, and what it does not."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from mrs_pipeline_tests.code.packages import Case, Edit, check

USED, UNUSED = "def used():\n    return 1\n", "def unused():\n    return 10\n"
BOTH = USED + UNUSED
HELPER_SEEN = (Edit("return 1\n", "return 2\n", "helper.py"),)
HELPER_UNSEEN = (
    Edit("return 10", "return 20", "helper.py"),
    Edit("", "\n\ndef another():\n    return 3\n", "helper.py"),
    Edit("", "\nCONSTANT = 3\n", "helper.py"),
    Edit("", "\nclass Another:\n    x = 1\n", "helper.py"),
    Edit("def used", "# words\ndef used", "helper.py"),
)


def helper(name: str, main: str, more: Mapping[str, str] = MappingProxyType({})) -> Case:
    """A module `helper` with a function that the root reaches and one that it does not."""
    files = {"main.py": main, "helper.py": BOTH, **more}
    return Case(name, files, HELPER_SEEN, HELPER_UNSEEN)


IMPORTS = [
    helper("from import", "from shop.helper import used\ndef run():\n    return used()\n"),
    helper("from import as", "from shop.helper import used as u\ndef run():\n    return u()\n"),
    helper("import module", "import shop.helper\ndef run():\n    return shop.helper.used()\n"),
    helper("import module as", "import shop.helper as h\ndef run():\n    return h.used()\n"),
    helper("from package import module", "from shop import helper\ndef run():\n    return helper.used()\n"),
    helper("relative import", "from .helper import used\ndef run():\n    return used()\n"),
    helper("from . import", "from . import helper as h\ndef run():\n    return h.used()\n"),
    helper("import in a function", "def run():\n    from shop.helper import used\n    return used()\n"),
    helper(
        "import in a nested function",
        "def run():\n    from . import helper\n    return lambda: helper.used()\n",
    ),
    helper("star import", "from shop.helper import *\ndef run():\n    return used()\n"),
    helper(
        "re-export",
        "from shop import inner\ndef run():\n    return inner.renamed()\n",
        {"inner/__init__.py": "from shop.helper import used as renamed\n"},
    ),
    helper(
        "re-export of a re-export",
        "from shop.inner import renamed\ndef run():\n    return renamed()\n",
        {
            "inner/__init__.py": "from ..outer import *\n",
            "outer.py": "from shop.helper import used as renamed\n",
        },
    ),
    helper(
        "function as a value",
        "from shop.helper import used\nTABLE = {1: used}\ndef run(n):\n    return TABLE[n]()\n",
    ),
    helper(
        "default argument", "from shop.helper import used\ndef run(function=used):\n    return function()\n"
    ),
    helper("decorator", "from shop.helper import used\n@used\ndef run():\n    return 1\n"),
    helper("decorator factory", "from shop.helper import used\n@used(3)\ndef run():\n    return 1\n"),
    helper(
        "conditional import",
        "try:\n"
        "    from shop.helper import used\n"
        "except ImportError:\n"
        "    used = None\n"
        "def run():\n"
        "    return used()\n",
    ),
    helper("comprehension", "from shop.helper import used\ndef run(xs):\n    return [used() for x in xs]\n"),
    helper(
        "pattern guard",
        "from shop.helper import used\n"
        "def run(x):\n"
        "    match x:\n"
        "        case 1 if used():\n"
        "            return 1\n",
    ),
    helper("f-string", "from shop.helper import used\ndef run(x):\n    return f'{x:{used()}}'\n"),
    helper(
        "constant import_module",
        "from importlib import import_module\ndef run():\n    return import_module('shop.only').used()\n",
        {"only.py": "from shop.helper import used\n"},
    ),
    helper(
        "lambda constant", "from shop.helper import used\nf = lambda: used()\ndef run():\n    return f()\n"
    ),
    helper(
        "names from both sides of a tuple",
        "from shop.helper import used, unused\na, b = used, unused\ndef run():\n    return a()\n",
    ),
    helper(
        "type alias of a value",
        "from shop.helper import used\ndef run() -> int:\n    value: int = used()\n    return value\n",
    ),
]

CASES = [
    Case(
        "annotations reach nothing",
        {
            "main.py": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from shop.helper import Kind\n"
            "def run(x: int) -> Kind:\n    y: Kind = 3\n    return y\n",
            "helper.py": "class Kind:\n    def __len__(self):\n        return 1\n",
        },
        unseen=(
            Edit("return 1", "return 2", "helper.py"),
            Edit("x: int", "x: str"),
            Edit("-> Kind", "-> str"),
            Edit("y: Kind =", "y ="),
            Edit("import Kind", "import Kind, Other"),
        ),
    ),
    Case(
        "a local variable hides a function of its name",
        {"main.py": f"{USED}def run(used):\n    return used\n"},
        unseen=(Edit("return 1", "return 2"),),
    ),
    Case(
        "a comprehension's variable hides one too",
        {"main.py": f"{USED}def run(xs):\n    return [used for used in xs]\n"},
        unseen=(Edit("return 1", "return 2"),),
    ),
    Case(
        "a nested function sees the variables around it",
        {
            "main.py": f"{USED}def run(xs):\n"
            f"    used = 3\n"
            f"    def inner():\n"
            f"        return used\n"
            f"    return inner\n"
        },
        unseen=(Edit("return 1", "return 2"),),
    ),
    Case(
        "a method does not see the names of its class",
        {
            "main.py": f"{USED}class Till:\n"
            f"    used = 3\n"
            f"    def take(self):\n"
            f"        return used()\n"
            f"def run():\n"
            f"    return Till().take()\n"
        },
        seen=(Edit("return 1", "return 2"),),
        unseen=(Edit("used = 3", "used = 4"),),
    ),
    Case(
        "two names of one import exchanged",
        {
            "main.py": "from shop.helper import used as a, unused as b\ndef run():\n    return a() - b()\n",
            "helper.py": BOTH,
        },
        seen=(Edit("used as a, unused as b", "unused as a, used as b"),),
    ),
    Case(
        "an outside name imported from elsewhere",
        {"main.py": "from math import floor as cut\ndef run(x):\n    return cut(x)\n"},
        seen=(Edit("import floor as", "import ceil as"), Edit("from math", "from numpy")),
    ),
    Case(
        "a builtin that the module defines itself",
        {"main.py": "def run(x):\n    return sorted(x)\n"},
        seen=(Edit("", "\ndef sorted(x):\n    return x\n"),),
    ),
    Case(
        "constants",
        {
            "main.py": "from shop.helper import SIZE\ndef run():\n    return SIZE\n",
            "helper.py": "BASE = 2\nSIZE: int = BASE * 3\nOTHER = 4\n",
        },
        seen=(Edit("* 3", "* 4", "helper.py"), Edit("BASE = 2", "BASE = 3", "helper.py")),
        unseen=(Edit("OTHER = 4", "OTHER = 5", "helper.py"), Edit("SIZE: int", "SIZE: float", "helper.py")),
    ),
    Case(
        "a constant in steps",
        {"main.py": "TOTAL = 1\nTOTAL += 2\na = b = 7\ndef run():\n    return TOTAL + b\n"},
        seen=(Edit("+= 2", "+= 3"), Edit("b = 7", "b = 8")),
    ),
    Case(
        "a constant filled below",
        {"main.py": "TABLE = {}\nTABLE['a'] = 1\ndef run():\n    return TABLE\n"},
        seen=(Edit("'a'] = 1", "'a'] = 2"),),
    ),
    Case(
        "unpacking",
        {"main.py": "a, *rest = [1, 2]\nx, y = 3, 4\ndef run():\n    return rest, y\n"},
        seen=(Edit("[1, 2]", "[1, 3]"), Edit("3, 4", "3, 5")),
        unseen=(Edit("3, 4", "5, 4"),),
    ),
    Case(
        "top-level statements",
        {
            "main.py": "from shop.helper import used\ndef run():\n    return used()\n",
            "helper.py": f"import os\n"
            f"os.environ['A'] = '1'\n"
            f"if os.name == 'nt':\n"
            f"    LIMIT = 1\n"
            f"else:\n"
            f"    LIMIT = 2\n"
            f"assert LIMIT\n"
            f"{BOTH}",
        },
        seen=(
            Edit("= '1'", "= '2'", "helper.py"),
            Edit("LIMIT = 2", "LIMIT = 3", "helper.py"),
            Edit("assert LIMIT", "assert LIMIT > 1", "helper.py"),
        ),
        unseen=HELPER_UNSEEN,
    ),
    Case(
        "top-level statements of modules that are only imported, and of packages",
        {
            "main.py": "import shop.side\n"
            "from shop.inner.helper import used\n"
            "def run():\n"
            "    return used()\n",
            "side.py": "import threading\nthreading.stack_size(65536)\ndef other():\n    return 1\n",
            "inner/__init__.py": "import os\nos.nice(0)\n",
            "inner/helper.py": BOTH,
        },
        seen=(Edit("65536", "131072", "side.py"), Edit("nice(0)", "nice(1)", "inner/__init__.py")),
        unseen=(Edit("return 1", "return 2", "side.py"),),
    ),
    Case(
        "top-level statements of a module that a function imports for their sake",
        {
            "main.py": "def run():\n    import shop.side\n    return 1\ndef other():\n    import shop.unused\n",
            "side.py": "import threading\nthreading.stack_size(65536)\n",
            "unused.py": "import threading\nthreading.stack_size(65536)\n",
        },
        seen=(Edit("65536", "131072", "side.py"),),
        unseen=(Edit("65536", "131072", "unused.py"),),
    ),
    Case(
        "scripts are not executed by an import",
        {
            "main.py": f"{BOTH}def run():\n"
            f"    return used()\n"
            f"if __name__ == '__main__':\n"
            f"    print(unused())\n"
        },
        seen=(Edit("return 1\n", "return 2\n"),),
        unseen=(Edit("print(", "print(1, "), Edit("return 10", "return 20")),
    ),
    Case(
        "a function that enters itself in a registry",
        {
            "main.py": "from shop import plugins\n"
            "from shop.registry import TABLE\n"
            "def run(n):\n"
            "    return TABLE[n]()\n",
            "registry.py": "TABLE = {}\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n",
            "plugins.py": f"from shop.registry import register\n@register\n{USED}{UNUSED}",
        },
        seen=(Edit("return 1\n", "return 2\n", "plugins.py"),),
        unseen=(Edit("return 10", "return 20", "plugins.py"),),
    ),
    Case(
        "entering through a helper, a method of an object, a call and a subclass hook",
        {
            "main.py": "from shop import plugins\n"
            "from shop.registry import APP, BASES, TABLE\n"
            "def run(n):\n"
            "    return TABLE, APP, BASES\n",
            "registry.py": "TABLE = {}\nBASES = []\n"
            "def _enter(table, name, f):\n    table[name] = f\n"
            "def register(name):\n"
            "    def inner(f):\n"
            "        _enter(TABLE, name, f)\n"
            "        return f\n"
            "    return inner\n"
            "class App:\n    def command(self, f):\n        self.f = f\n        return f\nAPP = App()\n"
            "class Base:\n    def __init_subclass__(cls):\n        BASES.append(cls)\n",
            "plugins.py": "from shop.registry import APP, Base, register\n"
            "@register('one')\ndef one():\n    return 1\n"
            "@APP.command\ndef two():\n    return 2\n"
            "def three():\n    return 3\nKEPT = register('three')(three)\nALSO = register('four')\n"
            "class Four(Base):\n    def __call__(self):\n        return 4\n"
            "def five():\n    return 5\n",
        },
        seen=(
            Edit("return 1\n", "return 11\n", "plugins.py"),
            Edit("return 2\n", "return 12\n", "plugins.py"),
            Edit("return 3\n", "return 13\n", "plugins.py"),
            Edit("return 4\n", "return 14\n", "plugins.py"),
        ),
        unseen=(Edit("return 5\n", "return 15\n", "plugins.py"),),
    ),
    Case(
        "a wrapping decorator enters nothing",
        {
            "main.py": "from shop.helper import used\ndef run():\n    return used()\n",
            "helper.py": f"from functools import wraps\n"
            f"STYLE = {{'a': 1}}\n"
            f"def styled(f):\n"
            f"    @wraps(f)\n"
            f"    def inner():\n"
            f"        return STYLE.get('a'), f()\n"
            f"    return inner\n"
            f"@styled\n"
            f"{USED}@styled\n"
            f"{UNUSED}",
        },
        seen=(Edit("return 1\n", "return 2\n", "helper.py"), Edit("'a': 1", "'a': 2", "helper.py")),
        unseen=(Edit("return 10", "return 20", "helper.py"),),
    ),
    Case(
        "a function that assigns a name of the module",
        {
            "main.py": "_mode = 1\n"
            "def switch():\n"
            "    global _mode\n"
            "    _mode = 2\n"
            "def run():\n"
            "    return _mode\n"
        },
        seen=(Edit("_mode = 1", "_mode = 3"), Edit("_mode = 2", "_mode = 3")),
    ),
    Case(
        "a module as a value",
        {
            "main.py": "from shop import helper\ndef run(name):\n    return getattr(helper, name)()\n",
            "helper.py": BOTH,
        },
        seen=(Edit("return 10", "return 20", "helper.py"), Edit("return 1\n", "return 2\n", "helper.py")),
    ),
    Case(
        "globals()",
        {"main.py": f"{BOTH}def run(name):\n    return globals()[name]()\n"},
        seen=(Edit("return 10", "return 20"),),
    ),
    Case(
        "a module's __getattr__",
        {
            "main.py": "import shop.lazy\ndef run():\n    return shop.lazy.thing\n",
            "lazy.py": f"{BOTH}def __getattr__(name):\n    return used()\n",
        },
        seen=(Edit("return 1\n", "return 2\n", "lazy.py"),),
        unseen=(Edit("return 10", "return 20", "lazy.py"),),
    ),
    Case(
        "a submodule and a name of the package that are called alike",
        {
            "main.py": "from shop import inner\ndef run():\n    return inner.used()\n",
            "inner/__init__.py": "from shop.inner.used import used\n",
            "inner/used.py": BOTH,
        },
        seen=(Edit("return 1\n", "return 2\n", "inner/used.py"),),
        unseen=(Edit("return 10", "return 20", "inner/used.py"),),
    ),
    Case(
        "modules that import one another",
        {
            "main.py": "from shop.helper import used\n"
            "from shop.helper import missing\n"
            "LIMIT = 3\n"
            "def run():\n"
            "    return used()\n",
            "helper.py": "from shop.main import LIMIT, run\ndef used():\n    return LIMIT, run\n",
        },
        seen=(Edit("LIMIT = 3", "LIMIT = 4"),),
    ),
    Case(
        "overloads and a name that a condition chooses",
        {
            "main.py": "import sys\n"
            "if sys.byteorder == 'little':\n"
            "    def run():\n"
            "        return 1\n"
            "else:\n"
            "    def run():\n"
            "        return 2\n"
        },
        seen=(Edit("return 1", "return 3"), Edit("return 2", "return 3")),
        roots=("shop.main:<top level>",),
    ),
    Case(
        "a boundary",
        {
            "main.py": "from shop.registry import MODELS\ndef run(name):\n    return MODELS[name]\n",
            "registry.py": "from mrs_pipeline.code import boundary\nfrom shop.helper import used\n"
            "MODELS = boundary({'one': 'shop.other:One', 'two': used})\n",
            "helper.py": BOTH,
            "other.py": "class One:\n    x = 1\n",
        },
        seen=(Edit("MODELS[name]", "MODELS.get(name)"), Edit("boundary({", "dict({", "registry.py")),
        unseen=(
            Edit("'two'", "'three'", "registry.py"),
            Edit("return 1\n", "return 2\n", "helper.py"),
            Edit("x = 1", "x = 2", "other.py"),
        ),
    ),
    Case(
        "the class of what is behind a boundary",
        {
            "main.py": "from shop.registry import MODELS\ndef run(name):\n    return MODELS.find(name)\n",
            "registry.py": "from mrs_pipeline.code import boundary\n"
            "from shop.kinds import Registry\n"
            "MODELS = boundary(Registry({'one': 1}))\n",
            "kinds.py": "class Registry:\n"
            "    def __init__(self, own):\n        self.own = own\n"
            "    def __getitem__(self, name):\n        return self.own[name] + 2\n"
            "    def find(self, name):\n        return self[name] + 3\n"
            "    def unused(self):\n        return 4\n",
        },
        seen=(Edit("+ 2", "+ 12", "kinds.py"), Edit("+ 3", "+ 13", "kinds.py")),
        unseen=(Edit("'one': 1", "'one': 11", "registry.py"), Edit("return 4", "return 14", "kinds.py")),
    ),
    Case(
        "a stop, and the entry that was chosen",
        {
            "main.py": "from shop.registry import MODELS\ndef run(name):\n    return MODELS[name].fit()\n",
            "registry.py": "from shop.other import One, Two\nMODELS = {'one': One, 'two': Two}\n",
            "other.py": "class One:\n"
            "    def fit(self):\n"
            "        return 1\n"
            "\n"
            "\n"
            "class Two:\n"
            "    def fit(self):\n"
            "        return 2\n",
        },
        seen=(Edit("return 1", "return 11", "other.py"),),
        unseen=(Edit("return 2", "return 12", "other.py"), Edit("'two'", "'three'", "registry.py")),
        stop=("shop.registry:MODELS",),
        roots=("shop.main:run", "shop.other:One"),
    ),
    Case(
        "references in a registry are not followed, but its text counts",
        {
            "main.py": "MODELS = {'one': 'shop.other:One'}\ndef run(name):\n    return MODELS[name]\n",
            "other.py": "class One:\n    x = 1\n",
        },
        seen=(Edit("other:One", "other:Two"),),
        unseen=(Edit("x = 1", "x = 2", "other.py"),),
    ),
]


@pytest.mark.parametrize("case", [*IMPORTS, *CASES], ids=lambda case: case.name)
def test_a_closure_sees_what_it_can_reach_and_nothing_else(tmp_path: Path, case: Case) -> None:
    check(tmp_path, case)
