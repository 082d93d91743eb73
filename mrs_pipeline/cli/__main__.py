"""`python -m mrs_pipeline.cli`."""

from mrs_pipeline.cli.app import main

main()
