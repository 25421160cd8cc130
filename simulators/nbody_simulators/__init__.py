"""Built-in systems and classical integrators."""
