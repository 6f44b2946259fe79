"""TensorFlow Serving's messages: protos, tensors, examples, names of models, status codes, what a call is."""
