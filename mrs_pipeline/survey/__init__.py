"""What the survey lists: systems, encoders of content and domains, each with what this project has for it.

Here belong: rows that people wrote, checked by tests against the registries. What can be derived (files, deviations,
figures) is not here but in `bench.survey_page`, which prints the map.
"""
