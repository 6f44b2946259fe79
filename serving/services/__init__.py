"""TensorFlow Serving's services, as methods from bytes to bytes: answered in this process, or by another server."""
