"""Work spread over processes: what the work is, whoever asks for it says."""
