"""The code of a task: every definition that it can reach, found by reading source files and running none.

Here belong: reading Python source, following names from definition to definition, digests of what is reached, and
the words for a difference. Standard library and `errors` only. What a task's roots are, and what follows from a
difference, belongs to `tasks`. The rule and its limits: docs/decisions/0007.
"""

from mrs_pipeline.code.boundary import boundary
from mrs_pipeline.code.closure import Closure
from mrs_pipeline.code.difference import difference
from mrs_pipeline.code.present import closure, edited_files, keep_closures, one_moment
from mrs_pipeline.code.program import Program, Root

__all__ = [
    "Closure",
    "Program",
    "Root",
    "boundary",
    "closure",
    "difference",
    "edited_files",
    "keep_closures",
    "one_moment",
]
