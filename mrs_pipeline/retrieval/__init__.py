"""Finding the items whose vectors have the largest inner products with a user's: building an index and asking it.

Where vectors come from and where an index is kept belong to `stages`; nothing here knows a model or a table.
"""
