"""Tables of time series to windows in tf.data."""
