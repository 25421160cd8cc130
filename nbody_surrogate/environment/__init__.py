"""What a run stands on: device, machine and library versions."""
