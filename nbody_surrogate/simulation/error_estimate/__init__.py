"""The error estimate of a run: of each frame, of the whole, its calibration, and a tolerance."""
