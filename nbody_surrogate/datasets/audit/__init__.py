"""What is wrong with a data set, and how well an exact solution scores on it."""
