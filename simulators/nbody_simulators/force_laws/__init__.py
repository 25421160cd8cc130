"""Force laws, one a file: written once, for NumPy, numba and torch."""
