"""`mrs init FOLDER`: what a folder of raw files holds, and the settings that suit it.

Here: looking (`looking`, `headers`), guessing (`columns`, `discovery`, `joining`, `feature_tables`, `media_files`),
judging (`times`, `ratings`, `proposals`), putting together (`inspecting`, `telling`), writing down (`settings_yaml`).
Nothing here decides what a run does: that follows the settings a person has looked over.
"""

from mrs_pipeline.ingest.inspection.inspecting import PLAIN_ENCODERS, Inspection, inspect_folder
from mrs_pipeline.ingest.inspection.overrides import Overrides
from mrs_pipeline.ingest.inspection.settings_yaml import to_yaml

__all__ = ["PLAIN_ENCODERS", "Inspection", "Overrides", "inspect_folder", "to_yaml"]
