"""What a surrogate would have to beat, and what it would cost, measured before it is trained."""
