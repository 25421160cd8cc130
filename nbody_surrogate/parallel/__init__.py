"""Work spread over processes and threads."""
