"""Files that others write while we read: regular ones only, followed, in TensorFlow's record format."""
