"""Where the steps of a run are done: processes of this machine or one, jobs of a Ray cluster, or pods of Kubernetes.

`MRS_EXECUTOR` chooses. All machines must see the home: a shared disk, or one home each with `MRS_STORE`.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import dagster as dg

from mrs_pipeline.errors import InputError

EXECUTOR_VARIABLE: Final = "MRS_EXECUTOR"
PROCESSES: Final = "processes"
ONE_PROCESS: Final = "one_process"
"""All steps in the process of the run, one after the other: for little data, where starting a process costs more than
the step, and for little memory."""
_ELSEWHERE: Final[Mapping[str, tuple[str, str, str]]] = {
    "ray": ("dagster_ray", "ray_executor", "mrs-pipeline[ray]"),
    "kubernetes": ("dagster_k8s", "k8s_job_executor", "mrs-pipeline[kubernetes]"),
}
"""Name -> module, executor in it, what to install."""


def executor(in_processes: Mapping[str, Any]) -> dg.ExecutorDefinition:
    """The executor that the environment names.

    Args:
        in_processes: settings of the executor of this machine, which is taken where none is named.

    Raises:
        InputError: there is no such executor, or its package is not installed.
    """
    name = os.environ.get(EXECUTOR_VARIABLE) or PROCESSES
    if name == PROCESSES:
        return dg.multiprocess_executor.configured(dict(in_processes))
    if name == ONE_PROCESS:
        return dg.in_process_executor
    if name not in _ELSEWHERE:
        raise InputError(
            f"{EXECUTOR_VARIABLE} is '{name}'; the executors are "
            f"{', '.join((PROCESSES, ONE_PROCESS, *_ELSEWHERE))}: correct or unset it"
        )
    module, attribute, package = _ELSEWHERE[name]
    try:
        found: dg.ExecutorDefinition = getattr(import_module(module), attribute)
    except ImportError as error:
        raise InputError(
            f"{EXECUTOR_VARIABLE}={name} needs {module}, which is not installed: pip install '{package}'"
        ) from error
    return found
