"""Several processes that are one server to its clients."""
