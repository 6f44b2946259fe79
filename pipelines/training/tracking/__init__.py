"""Runs and registered models in MLflow."""

from unroll.pipelines.training.tracking.reachable import check_tracking
from unroll.pipelines.training.tracking.registry import CHAMPION, Registered, Tracking
from unroll.pipelines.training.tracking.run import Run, run_name

__all__ = ["CHAMPION", "Registered", "Run", "Tracking", "check_tracking", "run_name"]
