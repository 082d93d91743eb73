"""Modules and bases that several models share, one subject a file; formulas without parameters are `functional`."""
