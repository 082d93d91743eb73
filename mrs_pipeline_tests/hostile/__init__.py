"""Hostile inputs of five kinds. `case` says what a case is; each kind has a file; `page` writes the documentation."""

from mrs_pipeline_tests.hostile import arrays, media, models, settings, tables

ALL_CASES = (*tables.CASES, *media.CASES, *models.CASES, *settings.CASES, *arrays.CASES)
