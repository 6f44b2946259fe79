"""One folder a task: the only place that knows it. A folder is found by its module `task`."""
