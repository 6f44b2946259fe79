"""A SavedModel in TensorFlow's C++ runtime: a session, its inputs and answers, its threads."""
