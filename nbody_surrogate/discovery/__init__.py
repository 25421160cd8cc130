"""From tracks to a law: what acts on particles that were only watched."""
