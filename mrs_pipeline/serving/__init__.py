"""A final model in use: lists for users, for histories and with new items, similar items, why an item is shown.

Everything here answers from memory and changes nothing that is stored. What is served is made by `stages`; the program
that listens is `serving.app`, and needs the extra `serve`.
"""
