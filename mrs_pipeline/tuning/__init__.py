"""Search of hyper-parameters on validation rows: trials, search, and the presets that are kept."""
