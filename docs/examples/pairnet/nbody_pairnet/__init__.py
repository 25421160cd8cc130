"""The surrogate `pairnet` for nbody-surrogate."""
