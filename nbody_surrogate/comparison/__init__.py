"""Runs held against each other: errors, drifts, curves, distributions, noise floors, tables."""
