"""Expectations about tables, evaluated inside DuckDB and judged by Great Expectations.

Belongs here: the words in which a table says what it expects (`expect`), the SQL that counts what breaks them
(`counting`), the verdict of Great Expectations on those counts (`judging`), and what is reported (`report`). No
row leaves DuckDB except a few examples of what is wrong, so memory does not grow with the table. What is expected
of which table stands in the table's file (`tables`); which checks guard which output is `stages.checks`.
"""
