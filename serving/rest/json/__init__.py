"""TensorFlow Serving's JSON to tensors, and back."""
