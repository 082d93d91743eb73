"""What numbers in a time column may count. Imports nothing, so that the command line can name them at once."""

from typing import Literal

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "day", "excel", "year"]
"""Seconds and their parts, days since 1970, days as spreadsheets count them, calendar years."""
