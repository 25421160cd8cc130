"""Classical integrators: adaptive solvers and fixed-step methods."""
