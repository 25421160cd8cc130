"""Parareal: slices of time in parallel, by a fine method that a coarse one prepares."""
