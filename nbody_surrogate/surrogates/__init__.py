"""Learned steppers under the call of a solver, and their weights."""
