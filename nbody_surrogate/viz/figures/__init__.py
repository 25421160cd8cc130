"""Figures by matplotlib: each function draws one and writes it whole."""
