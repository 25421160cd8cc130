"""What a model without memory can reach at best: the memoryless floor."""
