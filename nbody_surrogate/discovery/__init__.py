"""From tracks to a law: pair forces, strengths, drag, fields and noise out of positions alone."""
