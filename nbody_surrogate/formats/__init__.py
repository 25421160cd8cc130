"""File formats of runs and starts: H5MD, NumPy archives, exports for other programs."""
