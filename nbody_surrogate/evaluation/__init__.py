"""How good a model is: roll-outs, scorecards, one-shot tasks, error over cost."""
