"""A year of a dataset fed file by file to the daemon, with accidents, and compared with the same year without them."""
