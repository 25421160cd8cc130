"""Systems: one physics a file."""
