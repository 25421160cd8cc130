"""Predictors that every comparison needs beside a solver and a surrogate."""
