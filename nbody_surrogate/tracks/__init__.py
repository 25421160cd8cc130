"""Measured tracks: positions of particles over time, as cameras and other programs give them."""
