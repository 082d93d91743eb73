"""The survey's six experiments: a question each, answered by training arms that differ in one thing.

Belongs here: what the arms are, and how one is run and measured. Where results are kept and what the page looks like
is `stages.study` and `reporting`.
"""
