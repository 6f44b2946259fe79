"""Training that knows no task by name: fit, resume, tracking, evaluation, export, registration."""
