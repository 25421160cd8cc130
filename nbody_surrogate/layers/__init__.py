"""Blocks that surrogates are built of."""
