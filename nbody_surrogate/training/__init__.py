"""Train any registered surrogate on data from the reference solver."""
