"""SET, the Spacetime E(n)-Transformer, as a surrogate."""
