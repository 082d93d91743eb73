"""Work spread over a Ray cluster: which one `MRS_RAY` names, and calling a function for many arguments on it.

What is spread is decided by those who call: parts of an extraction, seeds of a model, arms of a study. A call must be
repeatable, since Ray repeats what a lost machine was doing. All machines see the same home, and run this package.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from mrs_pipeline.errors import InputError

RAY_VARIABLE: Final = "MRS_RAY"
"""Address of the cluster: `auto`, `host:port` or `ray://host:port`; unset, everything is done in this process."""
REPEATS: Final = 5
"""How often Ray repeats what was lost with a machine."""

Result = TypeVar("Result")


def cluster() -> Any | None:
    """The module `ray`, connected to the cluster; None where none is named.

    Raises:
        InputError: Ray is not installed, or no cluster answers at the address.
    """
    address = os.environ.get(RAY_VARIABLE)
    if not address:
        return None
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"{RAY_VARIABLE} is set, but Ray is not installed: pip install 'mrs-pipeline[ray]', or unset it"
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError) as error:
            raise InputError(
                f"no Ray cluster answers at {RAY_VARIABLE}={address} ({str(error).splitlines()[0]}): start one with "
                "`ray start --head`, correct the address, or unset it"
            ) from error
    return ray


def spread_calls(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], *, gpus: float = 0.0
) -> Iterator[Result]:
    """The results of a function for several arguments, in their order; one after another where there is no cluster.

    An error of a call is raised as it was. On a cluster all calls are handed over at once, a processor each, and big
    arguments that several share are sent once.
    """
    ray = cluster()
    if ray is None:
        for each in arguments:
            yield function(*each)
        return
    remote = ray.remote(function).options(num_cpus=1, num_gpus=gpus, max_retries=REPEATS)
    shared: dict[int, Any] = {}
    for value in (value for each in arguments for value in each):
        if id(value) not in shared:
            shared[id(value)] = ray.put(value)
    waiting = [remote.remote(*(shared[id(value)] for value in each)) for each in arguments]
    for reference in waiting:
        try:
            yield ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
