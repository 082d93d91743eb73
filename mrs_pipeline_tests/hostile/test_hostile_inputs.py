"""Every hostile input ends in one clear sentence, and nothing of it is executed. `pytest -s` prints the table."""

import re
import resource
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrs_pipeline_tests.hostile import ALL_CASES as CASES
from mrs_pipeline_tests.hostile.case import CANARY, Case, hostile_pickle
from mrs_pipeline_tests.hostile.page import PAGE, cell

LEAST = {"tables": 40, "media": 40, "models": 40, "YAML": 40, "arrays": 40}
MOST_MEMORY_MB = 1500
"""Growth of this process over all cases, most of it libraries; some of the inputs ask for thousands of times more."""
_FOREIGN = re.compile(r"Traceback|Error:|<class|\bat 0x|site-packages|\berrno\b", re.I)
_SECONDS = 60


@pytest.fixture(autouse=True)
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, where the canary would appear; what hangs is interrupted."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not answered within {_SECONDS} s")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[tuple[str, str], str]]:
    """(kind, name) -> the sentence, of the cases that have run; printed at the end."""
    found: dict[tuple[str, str], str] = {}
    yield found
    for number, ((kind, name), sentence) in enumerate(sorted(found.items()), start=1):
        print(f"\n{number:>4}  {kind:<7} {name:<48} {sentence[:160]}", end="")
    print(f"\n{len(found)} hostile inputs: {dict(Counter(kind for kind, _ in found))}")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.name}" for case in CASES])
def test_one_sentence_and_nothing_executed(
    case: Case, tmp_path: Path, answers: dict[tuple[str, str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input").mkdir()
    sentence = case.sentence(tmp_path / "input")
    answers[case.kind, case.name] = sentence.replace(str(tmp_path), "…")
    assert case.says in sentence, sentence
    assert "\n" not in sentence.strip() and len(sentence) < 700, sentence
    assert not _FOREIGN.search(sentence.replace(str(tmp_path), "")), sentence
    assert not list(tmp_path.rglob(CANARY)), "something was executed"
    assert "Traceback" not in "".join(capfd.readouterr())


def test_there_are_enough_of_each_kind() -> None:
    counted = Counter(case.kind for case in CASES)
    assert all(counted[kind] >= least for kind, least in LEAST.items()), counted
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES) >= 200


def test_memory_stayed_bounded() -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < (MOST_MEMORY_MB + 1000) * 1024


def test_the_canary_sings(tmp_path: Path) -> None:
    """What the inputs carry does run where it is let: so its absence above means something."""
    import pickle

    pickle.loads(hostile_pickle())
    assert (tmp_path / CANARY).exists()


def test_the_page_has_them_all() -> None:
    """`python -m mrs_pipeline_tests.hostile.page` writes it; sentences hold words of libraries, so names count."""
    page = PAGE.read_text(encoding="utf-8")
    assert [case.name for case in CASES if f"| {case.kind} | {cell(case.name)} |" not in page] == []
    assert page.count("\n| ") == len(CASES) + 1
