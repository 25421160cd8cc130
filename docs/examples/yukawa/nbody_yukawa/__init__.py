"""The system `yukawa` for nbody-surrogate."""
