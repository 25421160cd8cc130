"""The guard of a run: its options, at work, replays, its account of errors."""
