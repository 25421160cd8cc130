"""The one loop: simulate, resume, checkpoints, observers, the guard."""
