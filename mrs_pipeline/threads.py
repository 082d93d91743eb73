"""How threads of processes that train side by side share the cores. Nothing else."""

import os
from typing import Final

_SPINS: Final = "GOMP_SPINCOUNT"


def yield_while_waiting() -> None:
    """Have threads that wait for their siblings give the core back after microseconds, unless the user says otherwise.

    Called by the processes that run the pipeline (the command line, and Dagster's code location with the steps that are
    forked from it), before torch is loaded: GNU's OpenMP reads the environment once. Left alone, a waiting thread spins
    for so long that two processes on the same cores slow each other thirtyfold; alone on its cores, a process pays up
    to a quarter (see docs/decisions/0005). Other programs that import the package decide for themselves.
    """
    os.environ.setdefault(_SPINS, "1000")
