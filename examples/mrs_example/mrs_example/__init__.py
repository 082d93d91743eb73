"""An example of a package that adds to mrs_pipeline: `pip install ./examples/mrs_example`, and the names are there."""
