"""The integrator `verlet` for nbody-surrogate."""
