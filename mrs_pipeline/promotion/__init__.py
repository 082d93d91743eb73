"""Champion and challenger: the written rules, the decisions and their record, and what a champion keeps.

Not here: serving a champion (`serving`), the paired test behind the rules (`statistics`, `reporting.leaderboard`).
"""
