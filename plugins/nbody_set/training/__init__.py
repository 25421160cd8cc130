"""Training SET on a CPU by compiled code: `kernel` is the door, the rest is what it is made of."""
