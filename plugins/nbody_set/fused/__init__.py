"""The steps of `SET` as code for the processor, without torch."""
