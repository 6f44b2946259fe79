"""Flags that were given, and do not count beside others: whoever gave them is told."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unroll.serving.server.flags import GROUPS


@dataclass(frozen=True)
class Rule:
    """When flags do not count.

    Args:
        applies: whether it is so, by all flags.
        reason: why.
        flags: their names.
    """

    applies: Callable[[argparse.Namespace], object]
    reason: str
    flags: tuple[str, ...]


_THREADS = ("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism")
_REST = (
    "rest_ssl_config_file",
    "rest_api_timeout_in_ms",
    "rest_api_max_body_bytes",
    "rest_api_client_timeout_in_ms",
    "rest_allowed_hosts",
    "rest_api_enable_cors_support",
    "monitoring_config_file",
)
_LOADING = (
    "store",
    "model_config_file_poll_wait_seconds",
    "num_load_threads",
    "max_num_load_retries",
    "load_retry_interval_micros",
    "allow_version_labels_for_unavailable_models",
    "canary_share",
    "enable_model_warmup",
    "num_request_iterations_for_warmup",
)
_CONTENTS = (
    "enable_signature_method_name_check",
    "strict_shapes",
    "max_request_rows",
    "max_text_bytes",
    "max_image_pixels",
)
RULES = (
    Rule(
        lambda given: given.tensorflow_session_parallelism,
        "--tensorflow_session_parallelism sets the threads of both kinds",
        _THREADS,
    ),
    Rule(
        lambda given: (
            given.enable_model_tuning
            and (given.tensorflow_session_parallelism or any(name in given.said for name in _THREADS))
        ),
        "threads are given, so that nothing is tried",
        ("enable_model_tuning",),
    ),
    Rule(lambda given: not given.rest_api_port, "there is no REST without --rest_api_port", _REST),
    Rule(
        lambda given: not given.model_config_file,
        "there is no file to read again without --model_config_file",
        ("model_config_file_poll_wait_seconds",),
    ),
    Rule(
        lambda given: given.model_config_file or given.model_base_path or given.model_name,
        "--model_config_file, or --model_base_path, says what is served",
        ("store",),
    ),
    Rule(
        lambda given: not given.enable_model_warmup,
        "--enable_model_warmup=false runs no warmup records",
        ("num_request_iterations_for_warmup", "enable_model_tuning"),
    ),
    Rule(
        lambda given: not given.request_log_sampling,
        "--request_log_sampling=0 keeps no request",
        ("request_log", "request_log_file_bytes", "request_log_file_seconds", "request_log_total_bytes"),
    ),
    Rule(
        lambda given: "grpc.max_receive_message_length=" in given.grpc_channel_arguments,
        "for gRPC, --grpc_channel_arguments has grpc.max_receive_message_length",
        ("max_message_bytes",),
    ),
    Rule(
        lambda given: given.engine != "remote",
        "models run in this process without --engine=remote",
        ("remote_models", "remote_ca_file", "remote_certificate_file", "remote_key_file"),
    ),
    Rule(
        lambda given: given.engine == "remote",
        "with --engine=remote, the server at --remote_address has the models",
        (*_LOADING, *(flag.name for flag in GROUPS["how they run"]), *_CONTENTS),
    ),
)


def lines(given: argparse.Namespace) -> Iterator[str]:
    """One for each flag that was given in vain, and why.

    Args:
        given: see `unroll.serving.server.flags`.

    Example:
        >>> from unroll.serving.server import flags
        >>> list(lines(flags.parse(["--rest_allowed_hosts=models.example"], "server")))
        ['--rest_allowed_hosts does not count: there is no REST without --rest_api_port']
    """
    untold = set(given.said)
    for rule in RULES:
        if rule.applies(given):
            for name in rule.flags:
                if name in untold:
                    untold.remove(name)
                    yield f"--{name} does not count: {rule.reason}"
    for name in ("max_batch_size", "num_batch_threads"):
        if name in untold and given.batching_parameters_file:
            yield f"--batching_parameters_file: its {name} does not count: --{name} is given"
