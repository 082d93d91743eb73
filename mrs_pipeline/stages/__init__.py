"""One file a stage of the pipeline: fetches its inputs from the stores, calls pure code, stores and describes the result."""
