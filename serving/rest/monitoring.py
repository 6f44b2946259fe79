"""TensorFlow Serving's `--monitoring_config_file`: whether Prometheus may ask, and where."""

from pathlib import Path

from unroll.serving.protocol import text_protos

PATH = "/monitoring/prometheus/metrics"
_Prometheus = text_protos.message("tensorflow.serving.PrometheusConfig", {"enable": (1, "bool"), "path": (2, "string")})
_Monitoring = text_protos.message("tensorflow.serving.MonitoringConfig", {"prometheus_config": (1, _Prometheus)})


def metrics_path(config_file: Path | None) -> str | None:
    """Where the metrics are.

    Args:
        config_file: a MonitoringConfig in text format; without one the metrics are at `PATH`.

    Returns:
        The URL's path, or None for nowhere.

    Raises:
        UserError: the file cannot be read.
    """
    if config_file is None:
        return PATH
    config = text_protos.read(config_file, _Monitoring, "--monitoring_config_file").prometheus_config
    return (config.path or PATH) if config.enable else None
