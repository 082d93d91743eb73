"""A dynamic check of static closures: whatever of the package is really called must be in the closure of its roots."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import mrs_pipeline
from mrs_pipeline.code import Closure, Program

PACKAGE = Path(mrs_pipeline.__file__).resolve().parent
_PROGRAM = Program({"mrs_pipeline": PACKAGE})


def called(action: Callable[[], Any]) -> set[str]:
    """Keys of the definitions of this package whose code runs while `action` does, in all threads of this process.

    What is executed while a module is being imported does not count: it is not what the action calls.
    """
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    found = {_key_of(code) for code in codes if "<module>" not in code.co_qualname}
    return {key for key in found if key is not None and not key.startswith("mrs_pipeline.code.")}


def assert_covers(closure: Closure, action: Callable[[], Any]) -> set[str]:
    """Fails with the names of definitions that ran and are not in the closure; what ran.

    Args:
        closure: of the roots that stand for the action, with the entries that it chooses from registries.
        action: runs them.
    """
    ran = called(action)
    ended = {
        key.partition(":")[0] for key in closure.boundaries
    }  # what a registry itself calls is beyond its boundary
    missed = ran - set(closure.definitions) - closure.boundaries
    lacking = sorted(key for key in missed if key.partition(":")[0] not in ended)
    assert not lacking, f"called, and not in the closure: {lacking}"
    assert ran, "nothing of the package ran"
    return ran


def _key_of(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    return _PROGRAM.definition_at(path, code.co_firstlineno) if PACKAGE in path.parents else None
