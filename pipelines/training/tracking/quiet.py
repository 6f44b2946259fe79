"""MLflow without its notices."""

import logging
import os
from typing import Any


def import_mlflow() -> Any:
    """The module."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # asked when it is imported or first used
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow  # which sets the level of its loggers

    for logger in ("mlflow", "alembic"):  # their notices would run into the progress bars
        logging.getLogger(logger).setLevel(logging.WARNING)
    return mlflow
