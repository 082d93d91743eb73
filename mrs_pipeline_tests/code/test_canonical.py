"""The canonical text: what counts, what does not, and that no Python version counts otherwise."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mrs_pipeline.code.canonical import canonical, code_text_digest, executed

EVERY_NODE = Path(__file__).with_name("every_node.txt")
DIGEST_OF_EVERY_NODE = "09230b0ea859d68f"
PROJECT = Path(__file__).resolve().parents[2]


def digest(source: str) -> str:
    return code_text_digest(canonical(*executed(ast.parse(source).body)))


SAME = {
    "comments and layout": (
        "def f(a):\n    return a + 1\n",
        "def f( a ):\n\n    # words\n    return (a +\n        1)\n",
    ),
    "docstrings": ('def f():\n    """One."""\n    return 1\n', "def f():\n    return 1\n"),
    "a docstring alone": ('def f():\n    """One."""\n', "def f():\n    pass\n"),
    "attribute docstrings": ("class A:\n    x = 1\n    '''One.'''\n", "class A:\n    x = 1\n"),
    "annotations": (
        "def f(a: int, *b: int) -> str:\n    c: int = a\n    return c\n",
        "def f(a, *b):\n    c = a\n    return c\n",
    ),
    "bare annotations": ("def f():\n    a: int\n    return 1\n", "def f():\n    return 1\n"),
    "type comments": ("x = 1  # type: int\n", "x = 1\n"),
    "quotes and escapes": ("x = 'a\\n'\n", 'x = "a\\x0a"\n'),
    "old string prefix": ("x = u'a'\n", "x = 'a'\n"),
    "pieces of text": ("x = 'a' f'b{c}' 'd'\n", "x = f'ab{c}d'\n"),
    "an empty format": ("x = f'{c:}'\n", "x = f'{c}'\n"),
    "blocks for type checkers": ("if TYPE_CHECKING:\n    import a\nelse:\n    import b\n", "import b\n"),
    "number systems": ("x = 0xff\n", "x = 255\n"),
}
DIFFERENT = {
    "a number": ("x = 1\n", "x = 2\n"),
    "a type of number": ("x = 1\n", "x = 1.0\n"),
    "a boolean and a number": ("x = 1\n", "x = True\n"),
    "text and bytes": ("x = 'a'\n", "x = b'a'\n"),
    "a sign of zero": ("x = 0.0\n", "x = -0.0\n"),
    "an operator": ("x = a + b\n", "x = a - b\n"),
    "order of keywords": ("f(a=1, b=2)\n", "f(b=2, a=1)\n"),
    "a local name": ("def f():\n    a = 1\n    return a\n", "def f():\n    b = 1\n    return b\n"),
    "a default": ("def f(a=1): ...\n", "def f(a=2): ...\n"),
    "which parameter has it": ("def f(a, *, b=1, c): ...\n", "def f(a, *, b, c=1): ...\n"),
    "positional only": ("def f(a, /): ...\n", "def f(a): ...\n"),
    "a format": ("x = f'{c:.2f}'\n", "x = f'{c:.3f}'\n"),
    "a conversion": ("x = f'{c!r}'\n", "x = f'{c}'\n"),
    "unpacking in a dictionary": ("x = {**a, 1: b}\n", "x = {1: b, **a}\n"),
    "None and False as patterns": ("match a:\n    case None: f()\n", "match a:\n    case False: f()\n"),
    "then and else": ("if a:\n    pass\nelse:\n    f()\n", "if a:\n    f()\n"),
    "an asynchronous comprehension": (
        "async def f(): [a async for a in b]\n",
        "async def f(): [a for a in b]\n",
    ),
    "a level of an import": ("def f():\n    from . import a\n", "def f():\n    from .. import a\n"),
    "a field of a class in a function": (
        "def f():\n    class A:\n        x: int\n",
        "def f():\n    class A:\n        y: int\n",
    ),
    "order of statements": ("a()\nb()\n", "b()\na()\n"),
    "where a body ends": ("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_not_executed_does_not_count(name: str) -> None:
    one, other = SAME[name]
    assert digest(one) == digest(other)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_executed_counts(name: str) -> None:
    one, other = DIFFERENT[name]
    assert digest(one) != digest(other)


def test_the_digest_of_every_node_is_a_constant() -> None:
    source = EVERY_NODE.read_text()
    there = {type(node).__name__ for node in ast.walk(ast.parse(source))}
    assert _concrete_nodes() <= there, "the text has no such node"
    assert digest(source) == DIGEST_OF_EVERY_NODE


def test_trees_without_empty_fields_are_the_same() -> None:
    """Python 3.13 leaves fields out of nodes that 3.12 fills with empty lists; `type_params` came with 3.12."""
    tree = ast.parse(EVERY_NODE.read_text())
    stripped = 0
    for node in list(ast.walk(tree)):
        for name in node._fields:
            is_empty = name in vars(node) and getattr(node, name) in (None, [])
            if is_empty and not isinstance(node, ast.Constant | ast.MatchSingleton):
                delattr(node, name)
                stripped += 1
        if isinstance(node, ast.FunctionDef):
            node.type_params = []  # type: ignore[attr-defined]
            node._fields = (*node._fields, "type_params", "a_field_to_come")
    assert stripped > 100
    assert code_text_digest(canonical(*executed(tree.body))) == DIGEST_OF_EVERY_NODE


def test_split_pieces_of_an_f_string_are_the_same() -> None:
    """How a version cuts the text between expressions is its own affair."""
    tree = ast.parse("x = f'ab{c}d'")
    (joined,) = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    text, value, tail = joined.values
    joined.values = [ast.Constant(""), ast.Constant("a"), ast.Constant("b"), value, ast.Constant(""), tail]
    assert isinstance(text, ast.Constant)
    assert code_text_digest(canonical(*executed(tree.body))) == digest("x = f'ab{c}d'")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_versions_of_python_find_the_same_digests(version: str) -> None:
    """Of every node, and of a closure of the real package."""
    script = (
        "import ast, pathlib, sys; from mrs_pipeline.code import closure;"
        "from mrs_pipeline.code.canonical import canonical, executed, code_text_digest;"
        f"source = pathlib.Path({str(EVERY_NODE)!r}).read_text();"
        "print(sys.version_info[:2], code_text_digest(canonical(*executed(ast.parse(source).body))),"
        "closure('mrs_pipeline.fitting:fit').digest)"
    )
    here = _run(sys.executable, script)
    assert here is not None
    other = _run(shutil.which(f"python{version}") or "", script)
    if other is None:
        pytest.skip(f"there is no Python {version} here")
    assert other.partition(")")[2] == here.partition(")")[2]
    assert DIGEST_OF_EVERY_NODE in here


def _run(python: str, script: str) -> str | None:
    """Standard output of a script; None where the interpreter is absent."""
    if not python:
        return None
    probe = subprocess.run([python, "-c", "import sys"], capture_output=True, env=_environment())
    if probe.returncode:
        return None
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, env=_environment())
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}


def _concrete_nodes() -> set[str]:
    """Names of the nodes that Python 3.11 has in a file."""
    every = {
        kind.__name__
        for base in (ast.stmt, ast.expr, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.pattern)
        for kind in base.__subclasses__()
    }
    since = {"TypeAlias", "TemplateStr", "Interpolation", "Num", "Str", "Bytes", "NameConstant", "Ellipsis"}
    return every - since
