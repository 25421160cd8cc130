"""The page about a discovery: what was found in tracks, and how surely."""
