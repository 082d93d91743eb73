"""What has changed, in words."""

from pathlib import Path

from mrs_pipeline.code import difference
from mrs_pipeline_tests.code.packages import program, write

FILES = {
    "main.py": "from shop.helper import used, LIMIT\nfrom shop.kinds import Options\nprint(1)\n"
    "def run():\n    return used() + LIMIT + Options().rate, open('words.txt')\n",
    "helper.py": "LIMIT = 1\ndef used():\n    return 1\n",
    "kinds.py": "from pydantic import BaseModel\nclass Options(BaseModel):\n    rate: int = 1\n",
    "data/words.txt": "one",
}


def definitions(folder: Path, **changed: str) -> dict[str, str]:
    files = {
        **FILES,
        **{name.replace("__", "/").replace("_dot_", "."): text for name, text in changed.items()},
    }
    return dict(program(write(folder, files)).closure("shop.main:run").definitions)


def test_equal_closures_have_no_difference(tmp_path: Path) -> None:
    assert difference(definitions(tmp_path / "a"), definitions(tmp_path / "b")) == ()


def test_each_kind_of_definition_has_its_words(tmp_path: Path) -> None:
    old = definitions(tmp_path / "a")
    new = definitions(
        tmp_path / "b",
        main_dot_py=FILES["main.py"].replace("print(1)", "print(2)"),
        helper_dot_py="LIMIT = 2\nextra = 3\ndef used():\n    return extra\n",
        kinds_dot_py=FILES["kinds.py"].replace("int = 1", "float = 1"),
        data__words_dot_txt="two",
    )
    assert difference(old, new) == (
        "LIMIT in shop.helper changed",
        "used in shop.helper changed",
        "the type of Options.rate in shop.kinds changed",
        "the top-level code of shop.main changed",
        "the file shop/data/words.txt changed",
        "extra in shop.helper added",
    )
    assert difference(new, old)[-1] == "extra in shop.helper removed"


def test_a_definition_that_moved_is_one_difference(tmp_path: Path) -> None:
    old = definitions(tmp_path / "a")
    new = definitions(
        tmp_path / "b",
        main_dot_py=FILES["main.py"].replace(
            "import used, LIMIT", "import LIMIT\nfrom shop.other import used"
        ),
        helper_dot_py="LIMIT = 1\n",
        other_dot_py="def used():\n    return 1\n",
    )
    assert difference(old, new) == ("run in shop.main changed", "used in shop.helper moved to shop.other")
