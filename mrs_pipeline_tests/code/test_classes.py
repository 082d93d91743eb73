"""Classes: members that nothing names count for nothing, unless a library may call them."""

from pathlib import Path

import pytest

from mrs_pipeline_tests.code.packages import Case, Edit, check

TILL = """
class Till:
    limit = 1
    other = 2

    def __init__(self, start):
        self.start = start

    def take(self):
        return self._more(10)

    def _more(self, by):
        return self.start + by

    def unused(self):
        return 20

    @property
    def total(self):
        return 30

    @total.setter
    def total(self, value):
        self.start = value + 40
"""
MAIN = "from shop.till import Till\n"

CASES = [
    Case(
        "methods and constants by name",
        {"main.py": MAIN + "def run():\n    return Till(1).take() + Till.limit\n", "till.py": TILL},
        seen=(
            Edit("_more(10)", "_more(11)", "till.py"),
            Edit("start + by", "start - by", "till.py"),
            Edit("limit = 1", "limit = 3", "till.py"),
            Edit("self.start = start", "self.start = -start", "till.py"),
            Edit("class Till:", "class Till(dict):", "till.py"),
        ),
        unseen=(
            Edit("return 20", "return 21", "till.py"),
            Edit("other = 2", "other = 3", "till.py"),
            Edit("return 30", "return 31", "till.py"),
            Edit("value + 40", "value + 41", "till.py"),
            Edit("", "\n    def another(self):\n        return 50\n", "till.py"),
            Edit("    limit", '    """Words."""\n    limit', "till.py"),
            Edit("def take(self)", "def take(self) -> int", "till.py"),
        ),
    ),
    Case(
        "a property and its setter",
        {"main.py": MAIN + "def run(till):\n    Till(2)\n    till.total = 3\n", "till.py": TILL},
        seen=(Edit("return 30", "return 31", "till.py"), Edit("value + 40", "value + 41", "till.py")),
        unseen=(Edit("_more(10)", "_more(11)", "till.py"),),
    ),
    Case(
        "getattr with a constant, also of an attribute's attribute",
        {
            "main.py": MAIN + "from operator import attrgetter\n"
            "def run(till):\n    return getattr(Till, 'unused'), attrgetter('limit.total')(till)\n",
            "till.py": TILL,
        },
        seen=(Edit("return 20", "return 21", "till.py"), Edit("return 30", "return 31", "till.py")),
        unseen=(Edit("other = 2", "other = 3", "till.py"),),
    ),
    Case(
        "a name that occurs anywhere in the closure",
        {
            "main.py": MAIN + "from shop.other import ask\ndef run():\n    return ask(Till(1))\n",
            "other.py": "def ask(x):\n    return x.unused()\n",
            "till.py": TILL,
        },
        seen=(Edit("return 20", "return 21", "till.py"),),
        unseen=(Edit("return 30", "return 31", "till.py"),),
    ),
    Case(
        "a word in a docstring or an annotation is no name",
        {
            "main.py": MAIN + 'def run():\n    """unused"""\n    x: "total" = Till(1)\n    return x\n',
            "till.py": TILL,
        },
        unseen=(Edit("return 20", "return 21", "till.py"), Edit("return 30", "return 31", "till.py")),
    ),
    Case(
        "inherited members, and super",
        {
            "main.py": "from shop.kinds import Small\ndef run():\n    return Small().take()\n",
            "kinds.py": "class Base:\n"
            "    def take(self):\n"
            "        return 1\n"
            "    def unused(self):\n"
            "        return 2\n"
            "class Small(Base):\n    def take(self):\n        return super().take() + 3\n"
            "class Large(Base):\n    def take(self):\n        return 4\n",
        },
        seen=(Edit("return 1", "return 11", "kinds.py"), Edit("+ 3", "+ 13", "kinds.py")),
        unseen=(Edit("return 2", "return 12", "kinds.py"), Edit("return 4", "return 14", "kinds.py")),
    ),
    Case(
        "an abstract base and the subclass that is chosen as a root",
        {
            "main.py": "from shop.kinds import Base\ndef run(base: Base):\n    return base.whole()\n",
            "kinds.py": "from abc import ABC, abstractmethod\n"
            "class Base(ABC):\n"
            "    def whole(self):\n"
            "        return self.part()\n"
            "    @abstractmethod\n    def part(self):\n        ...\n"
            "class One(Base):\n    def part(self):\n        return 1\n"
            "class Two(Base):\n    def part(self):\n        return 2\n",
        },
        seen=(Edit("self.part()", "-self.part()", "kinds.py"), Edit("return 1", "return 11", "kinds.py")),
        unseen=(Edit("return 2", "return 12", "kinds.py"),),
        roots=("shop.main:run", "shop.kinds:One"),
    ),
    Case(
        "a base of a library: any method may be called",
        {
            "main.py": "from shop.net import Small\ndef run():\n    return Small()\n",
            "net.py": "from torch import nn\n"
            "class Base(nn.Module):\n"
            "    def unused(self):\n"
            "        return 1\n"
            "class Small(Base):\n    rate = 2\n    def forward(self):\n        return 3\n",
        },
        seen=(
            Edit("return 1", "return 11", "net.py"),
            Edit("rate = 2", "rate = 12", "net.py"),
            Edit("return 3", "return 13", "net.py"),
            Edit("", "    def another(self):\n        return 50\n", "net.py"),
        ),
    ),
    Case(
        "a base that is an expression, a metaclass",
        {
            "main.py": "from shop.kinds import A, B\ndef run():\n    return A, B\n",
            "kinds.py": "class Meta(type):\n"
            "    pass\n"
            "class A(type(3)):\n"
            "    def unused(self):\n"
            "        return 1\n"
            "class B(metaclass=Meta):\n    def unused(self):\n        return 2\n",
        },
        seen=(Edit("return 1", "return 11", "kinds.py"), Edit("return 2", "return 12", "kinds.py")),
    ),
    Case(
        "dunders, and hooks behind decorators that are not known",
        {
            "main.py": "from shop.kinds import Kind\ndef run(x):\n    return Kind() + x\n",
            "kinds.py": "from library import hook\nfrom functools import lru_cache\nclass Kind:\n"
            "    def __add__(self, other):\n        return 1\n"
            "    @hook('x')\n    def told(self):\n        return 2\n"
            "    @staticmethod\n    @lru_cache\n    def unused():\n        return 3\n"
            "    for i in range(4):\n        print(i)\n",
        },
        seen=(
            Edit("return 1", "return 11", "kinds.py"),
            Edit("return 2", "return 12", "kinds.py"),
            Edit("range(4)", "range(5)", "kinds.py"),
        ),
        unseen=(Edit("return 3", "return 13", "kinds.py"),),
    ),
    Case(
        "an enumeration counts whole, in its order",
        {
            "main.py": "from shop.kinds import Kind\ndef run(x):\n    return Kind(x)\n",
            "kinds.py": "from enum import StrEnum\n"
            "class Kind(StrEnum):\n"
            "    A = 'a'\n"
            "    B = 'b'\n"
            "    def unused(self):\n"
            "        return 1\n",
        },
        seen=(
            Edit("    A = 'a'\n    B = 'b'\n", "    B = 'b'\n    A = 'a'\n", "kinds.py"),
            Edit("    B = 'b'\n", "    B = 'b'\n    C = 'c'\n", "kinds.py"),
            Edit("return 1", "return 2", "kinds.py"),
        ),
        unseen=(Edit("    B = 'b'\n", "    B = 'b'\n    '''words'''\n", "kinds.py"),),
    ),
    Case(
        "fields of a dataclass: by name and by position",
        {
            "main.py": "from shop.kinds import Kind\n"
            "def run(x):\n"
            "    kind = Kind(1, 2)\n"
            "    return kind.a, kind.b\n",
            "kinds.py": "from dataclasses import dataclass\n"
            "from typing import ClassVar\n"
            "@dataclass\n"
            "class Kind:\n"
            "    a: int\n"
            "    b: int = 3\n"
            "    c: int = 4\n"
            "    D: ClassVar[int] = 5\n",
        },
        seen=(
            Edit("b: int = 3", "b: int = 13", "kinds.py"),
            Edit("    a: int\n", "    a: int\n    new: int = 0\n", "kinds.py"),
            Edit("    a: int\n    b: int = 3\n", "    b: int = 3\n    a: int\n", "kinds.py"),
            Edit("@dataclass", "@dataclass(frozen=True)", "kinds.py"),
            Edit("a: int\n", "a: ClassVar[int]\n", "kinds.py"),
        ),
        unseen=(
            Edit("c: int = 4", "c: int = 14", "kinds.py"),
            Edit("D: ClassVar[int] = 5", "D: ClassVar[int] = 15", "kinds.py"),
            Edit("a: int", "a: float", "kinds.py"),
            Edit("", "    new: int = 0\n", "kinds.py"),
        ),
    ),
    Case(
        "a field that a base dataclass puts before the others",
        {
            "main.py": "from shop.kinds import Kind\ndef run(x):\n    return Kind(1, 2).b\n",
            "kinds.py": "from dataclasses import dataclass\n"
            "@dataclass\n"
            "class Base:\n"
            "    a: int = 1\n"
            "@dataclass\n"
            "class Kind(Base):\n"
            "    b: int = 3\n",
        },
        seen=(Edit("    a: int = 1\n", "    a: int = 1\n    new: int = 0\n", "kinds.py"),),
    ),
    Case(
        "keyword-only fields keep their order among those that are named",
        {
            "main.py": "from shop.kinds import Kind\n"
            "def run(x):\n"
            "    kind = Kind(a=1, b=2)\n"
            "    return kind\n",
            "kinds.py": "from dataclasses import dataclass\n"
            "@dataclass(kw_only=True)\n"
            "class Kind:\n"
            "    a: int\n"
            "    b: int = 3\n",
        },
        seen=(Edit("    a: int\n    b: int = 3\n", "    b: int = 3\n    a: int\n", "kinds.py"),),
        unseen=(Edit("    a: int\n", "    a: int\n    new: int = 0\n", "kinds.py"),),
    ),
    Case(
        "all fields at once",
        {
            "main.py": "from dataclasses import asdict\n"
            "from shop.kinds import Kind\n"
            "def run(x):\n"
            "    return asdict(Kind(1))\n",
            "kinds.py": "from dataclasses import dataclass\n"
            "@dataclass\n"
            "class Kind:\n"
            "    a: int\n"
            "    c: int = 4\n"
            "    def unused(self):\n"
            "        return 1\n",
        },
        seen=(
            Edit("c: int = 4", "c: int = 14", "kinds.py"),
            Edit("    c: int", "    new: int = 0\n    c: int", "kinds.py"),
        ),
        unseen=(Edit("return 1", "return 11", "kinds.py"),),
    ),
    Case(
        "fields matched by position and by keyword",
        {
            "main.py": "from shop.kinds import Kind, Other\n"
            "def run(x):\n"
            "    match x:\n"
            "        case Kind(y):\n"
            "            return y\n"
            "        case Other(b=z):\n"
            "            return z\n",
            "kinds.py": "from dataclasses import dataclass\n"
            "@dataclass\n"
            "class Kind:\n"
            "    a: int = 1\n"
            "@dataclass\n"
            "class Other:\n"
            "    b: int = 2\n",
        },
        seen=(Edit("a: int = 1", "a: int = 11", "kinds.py"), Edit("b: int = 2", "b: int = 12", "kinds.py")),
    ),
    Case(
        "a named tuple counts whole",
        {
            "main.py": "from shop.kinds import Kind\ndef run(x):\n    a, b = Kind(1)\n    return b\n",
            "kinds.py": "from typing import NamedTuple\n"
            "class Kind(NamedTuple):\n"
            "    a: int\n"
            "    b: int = 2\n",
        },
        seen=(
            Edit("b: int = 2", "b: int = 12", "kinds.py"),
            Edit("    a: int\n", "    a: int\n    c: int = 0\n", "kinds.py"),
        ),
    ),
    Case(
        "settings of pydantic: what is read, its type, its validators",
        {
            "main.py": "from shop.kinds import Options\n"
            "def run(x):\n"
            "    return Options.model_validate(x).rate\n",
            "kinds.py": "from typing import Literal\n"
            "from pydantic import BaseModel, ConfigDict, Field, field_validator\n"
            "Rate = Literal[1, 2]\nclass Inner(BaseModel):\n    size: int = 1\n"
            "class Options(BaseModel):\n    model_config = ConfigDict(frozen=True)\n"
            "    rate: Rate = Field(default=1)\n    depth: int = 5\n    inner: Inner = Inner()\n"
            "    @field_validator('rate')\n"
            "    @classmethod\n"
            "    def _fits(cls, value):\n"
            "        return value + 7\n"
            "    @property\n    def unused(self):\n        return 8\n",
        },
        seen=(
            Edit("default=1)", "default=2)", "kinds.py"),
            Edit("Literal[1, 2]", "Literal[1, 2, 3]", "kinds.py"),
            Edit("rate: Rate", "rate: int", "kinds.py"),
            Edit("value + 7", "value + 8", "kinds.py"),
            Edit("frozen=True", "frozen=False", "kinds.py"),
        ),
        unseen=(
            Edit("depth: int = 5", "depth: float = 6", "kinds.py"),
            Edit("    depth", "    new: int = 3\n    depth", "kinds.py"),
            Edit("size: int = 1", "size: int = 2", "kinds.py"),
            Edit("return 8", "return 18", "kinds.py"),
        ),
    ),
    Case(
        "objects from outside: methods that are named, not what makes them",
        {
            "main.py": "from shop.kinds import Stage\n"
            "def run(stage: 'Stage | None'):\n"
            "    return stage.options.model()\n",
            "kinds.py": "from dataclasses import dataclass\nfrom pydantic import BaseModel, model_validator\n"
            "from shop.more import Inner\n"
            "Kinds = Inner | None\n"
            "@dataclass\nclass Stage:\n    options: Kinds\n    def __post_init__(self):\n        self.x = 1\n"
            "    def unused(self):\n        return 2\n    def __len__(self):\n        return 3\n",
            "more.py": "from pydantic import BaseModel, model_validator\n"
            "class Base(BaseModel):\n"
            "    def model(self):\n"
            "        return self._found() + 4\n"
            "class Inner(Base):\n    size: int = 5\n    def _found(self):\n        return 6\n"
            "    @model_validator(mode='after')\n    def _fits(self):\n        return 7\n",
        },
        seen=(
            Edit("return 3", "return 13", "kinds.py"),
            Edit("+ 4", "+ 14", "more.py"),
            Edit("return 6", "return 16", "more.py"),
        ),
        unseen=(
            Edit("self.x = 1", "self.x = 11", "kinds.py"),
            Edit("return 2", "return 12", "kinds.py"),
            Edit("size: int = 5", "size: int = 15", "more.py"),
            Edit("return 7", "return 17", "more.py"),
        ),
    ),
    Case(
        "objects given to the constructor of a class that is a root",
        {
            "main.py": "class Root:\n    def __init__(self, inner: 'Inner'):\n        self.n = inner.size()\n"
            "class Inner:\n    def size(self):\n        return 1\n    def unused(self):\n        return 2\n",
        },
        seen=(Edit("return 1", "return 11"),),
        unseen=(Edit("return 2", "return 12"),),
        roots=("shop.main:Root",),
    ),
    Case(
        "a class in a function, and one in a class",
        {
            "main.py": "from shop.kinds import Outer\n"
            "def run():\n"
            "    class Here:\n"
            "        a: int = 1\n"
            "        def unused(self):\n"
            "            return 2\n"
            "    return Outer.Inner(), Here\n",
            "kinds.py": "class Outer:\n"
            "    class Inner:\n"
            "        def unused(self):\n"
            "            return 3\n"
            "    class Other:\n"
            "        x = 4\n",
        },
        seen=(
            Edit("a: int = 1", "a: int = 11"),
            Edit("return 2", "return 12"),
            Edit("return 3", "return 13", "kinds.py"),
        ),
        unseen=(Edit("x = 4", "x = 14", "kinds.py"),),
    ),
    Case(
        "names of the class in its own body",
        {
            "main.py": "class Kind:\n"
            "    base = 1\n"
            "    size = base + 2\n"
            "    def ask(self, x=base):\n"
            "        return x\n"
            "def run():\n"
            "    return Kind.size\n",
        },
        seen=(Edit("base = 1", "base = 11"),),
        unseen=(Edit("return x", "return -x"),),
    ),
    Case(
        "an exception",
        {
            "main.py": "from shop.kinds import Bad\ndef run():\n    raise Bad(1)\n",
            "kinds.py": "class Base(Exception):\n"
            "    def __str__(self):\n"
            "        return '1'\n"
            "class Bad(Base):\n"
            "    def unused(self):\n"
            "        return 2\n",
        },
        seen=(Edit("return '1'", "return '11'", "kinds.py"),),
        unseen=(Edit("return 2", "return 12", "kinds.py"),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_members_count_where_they_may_be_used(tmp_path: Path, case: Case) -> None:
    check(tmp_path, case)
