"""Systems, integrators, surrogates and presets by name."""
