"""Force laws and the compiled sums over them."""
