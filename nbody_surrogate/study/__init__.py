"""Studies: a grid of models, particle numbers, horizons and seeds under one budget."""
