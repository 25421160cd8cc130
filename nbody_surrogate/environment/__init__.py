"""What a run stands on: the machine and the versions of libraries."""
