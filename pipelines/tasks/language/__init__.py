"""Text that goes on: a model of what comes next."""
