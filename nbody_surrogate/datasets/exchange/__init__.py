"""Data sets in other programs' layouts: exports and imports."""
