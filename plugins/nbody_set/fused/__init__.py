"""The steps of `SET` by compiled code, without torch."""
