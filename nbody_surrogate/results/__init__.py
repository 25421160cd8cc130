"""What a run gives: trajectories, metrics, statistics, label errors, the report of a guard."""
