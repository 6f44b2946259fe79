"""What a model is trained with: the precision of numbers, and memory."""
