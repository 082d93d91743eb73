"""Models of the survey's model-optimisation branch: trained end to end or in two steps."""
