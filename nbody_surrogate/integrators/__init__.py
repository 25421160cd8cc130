"""Methods built, refined and named; which solver is the ground truth."""
