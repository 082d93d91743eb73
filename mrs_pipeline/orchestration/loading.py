"""The components of a home as one set of Dagster definitions.

As `dagster.load_from_defs_folder`, without what that adds: the JSON schemas of all installed component types, as
metadata of the code location. To make them every model of the zoo is imported, in the server of the code location and
in every process that runs a step. `dg check yaml`, `dg list components` and the like make schemas themselves.
"""

from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

from mrs_pipeline.memory import without_collections


def tree_of(home_root: Path) -> ComponentTree:
    """The components below a home's `defs` folder, none of them loaded yet."""
    return ComponentTree.for_project(home_root)


def definitions_of(tree: ComponentTree) -> dg.Definitions:
    """What all components of a tree define."""
    with without_collections():
        parts = [
            tree.build_defs_at_path(each.loc)
            for each in tree.find_root_decl().iterate_child_component_decls()
        ]
        return dg.Definitions.merge(*parts, dg.Definitions(component_tree=tree))
