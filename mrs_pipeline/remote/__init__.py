"""Files in object storage and behind HTTP: addresses, a folder's copy on this machine, media that are read when needed.

Here belongs all that speaks to fsspec. What the files mean is `ingest`, how media are decoded `encoders`.
"""
