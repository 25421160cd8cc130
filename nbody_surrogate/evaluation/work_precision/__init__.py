"""Errors over costs: measurement, timing, the Pareto front, and the verdict in words."""
