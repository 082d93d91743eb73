"""One thread beside the caller's that does things in order, so that encoding overlaps with loading.

Nothing in here knows what the things are. Worker processes for decoding are `loading.py`.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self

STEPS_AHEAD = 2
"""Things that may wait; more would only hold memory."""

Arguments = ParamSpec("Arguments")


class Lane:
    """Runs calls one after the other. After one that raises, none of the later ones is run.

    Leaving the `with` block waits for all calls and raises what one of them raised.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()
        self._broken = False

    def submit(
        self, call: Callable[Arguments, None], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> None:
        """Queue a call; blocks while more than `STEPS_AHEAD` wait, and raises what an earlier call raised."""

        def guarded() -> None:
            if self._broken:
                return
            try:
                call(*args, **kwargs)
            except BaseException:
                self._broken = True
                raise

        self._waiting.append(self._thread.submit(guarded))
        while len(self._waiting) > STEPS_AHEAD:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broken = self._broken or error is not None
        self._thread.shutdown(wait=True)
        if error is None:
            for future in self._waiting:
                future.result()
