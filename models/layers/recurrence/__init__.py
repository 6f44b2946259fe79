"""Keras's recurrent layers, trained faster by a CPU."""
