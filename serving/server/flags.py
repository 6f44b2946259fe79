"""The model server's command line: tensorflow_model_server's flags under its names, and Unroll's own.

One table says what may be said; `unroll.serving.server.settings` says what it means.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from unroll.errors import UserError


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        name: without its dashes.
        kind: makes the value of what was typed.
        default: where nothing was.
        help: one line.
    """

    name: str
    kind: Any
    default: Any
    help: str


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")
    return lowered in ("true", "1")


def _at_least(least: float, kind: type = int) -> Any:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number, received {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, received {text}")
        return value

    return read


def _share(text: str) -> float:
    value = _at_least(0, float)(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, received {text}")
    return value


def _port(text: str) -> int:
    value = _at_least(0)(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535, received {text}")
    return value


def _address(text: str) -> str:
    if not re.fullmatch(r"unix:.+|.*[^:]:\d+", text):
        raise argparse.ArgumentTypeError(f"expected host:port, received {text!r}")
    return text


def _one_of(*choices: str) -> Any:
    def read(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"expected {' or '.join(choices)}, received {text!r}")
        return text

    return read


_COUNT, _POSITIVE = _at_least(0), _at_least(1)
_SECONDS = _at_least(0, float)

GROUPS: dict[str, tuple[Flag, ...]] = {
    "where to listen": (
        Flag("port", _port, 8500, "gRPC's TCP port. 0: a free one"),
        Flag("rest_api_port", _port, 0, "REST's TCP port. 0: no REST"),
        Flag("host", str, "127.0.0.1", "address to listen on. 0.0.0.0: every network"),
        Flag("grpc_socket_path", Path, None, "UNIX socket on which gRPC is answered too"),
        Flag("ssl_config_file", Path, None, "SSLConfig in text format: TLS, or mutual TLS, for gRPC"),
        Flag("rest_ssl_config_file", Path, None, "the same for REST"),
        Flag("auth_tokens_file", Path, None, "who may ask: `name:token[:model,...]` a line"),
        Flag("rest_api_timeout_in_ms", _POSITIVE, 30000, "how long a REST request may take"),
        Flag("rest_api_max_body_bytes", _POSITIVE, 16 << 20, "size of one request by REST, unpacked"),
        Flag("rest_api_client_timeout_in_ms", _POSITIVE, 10000, "how long its client may pause"),
        Flag("rest_allowed_hosts", str, "", "comma-separated names by which REST may be asked. *: any"),
        Flag("rest_api_enable_cors_support", _boolean, False, "whether pages of other sites may ask"),
        Flag("monitoring_config_file", Path, None, "MonitoringConfig in text format: where Prometheus' metrics are"),
        Flag("grpc_channel_arguments", str, "", "comma-separated key=value, of those that apply. -1: no limit"),
        Flag("drain_seconds", _SECONDS, 30.0, "how long requests in flight may take after SIGTERM"),
        Flag("workers", _POSITIVE, None, "processes that share the ports. By default one, more where it is full"),
    ),
    "what to serve": (
        Flag("model_config_file", Path, None, "ModelServerConfig in text format"),
        Flag("model_config_file_poll_wait_seconds", _COUNT, 0, "how often it is read again. 0: never"),
        Flag("model_name", str, None, "name of the only model"),
        Flag("model_base_path", str, None, "absolute path of its versions"),
        Flag("file_system_poll_wait_seconds", float, 1.0, "how often to look for versions. 0: once, at the start"),
        Flag("num_load_threads", _COUNT, 0, "versions loaded at the same time. 0: one a core"),
        Flag("max_num_load_retries", _COUNT, 5, "how often a version that does not load is tried again"),
        Flag("load_retry_interval_micros", int, 60_000_000, "how long to wait before each of these tries"),
        Flag("allow_version_labels_for_unavailable_models", _boolean, False, "labels may name what is not loaded yet"),
        Flag("verify_public_key", Path, None, "PEM public keys: versions without a signature by one are not loaded"),
        Flag("canary_share", _share, 0.0, "share of unlabelled traffic for the version labelled `canary`"),
        Flag("enable_model_warmup", _boolean, True, "whether warmup records are run before a version serves"),
        Flag("num_request_iterations_for_warmup", int, 0, "how often each of them is run. 0: once"),
        Flag("engine", _one_of("session", "remote"), "session", "where models run: in process, or in another server"),
        Flag("remote_address", _address, None, "host:port of that tensorflow_model_server"),
        Flag("remote_models", str, "", "comma-separated names whose health is told from the start on"),
        Flag("remote_ca_file", Path, None, "PEM authorities of its certificate; without it, no TLS"),
        Flag("remote_certificate_file", Path, None, "PEM certificate to show it, where it asks for one"),
        Flag("remote_key_file", Path, None, "PEM key of that certificate"),
    ),
    "how they run": (
        Flag("tensorflow_intra_op_parallelism", _COUNT, None, "threads within one op. 0: one a core"),
        Flag("tensorflow_inter_op_parallelism", int, None, "threads across ops. 0: one a core; -1: the batch's own"),
        Flag("tensorflow_session_parallelism", _COUNT, 0, "both of these at once, unless 0"),
        Flag("tensorflow_session_config_file", Path, None, "ConfigProto in text format, for all but threads"),
        Flag("per_process_gpu_memory_fraction", _share, 0.0, "share of a GPU's memory at most. 0: as it is needed"),
        Flag("saved_model_tags", str, "serve", "comma-separated tags of the graph to load"),
        Flag("enable_model_tuning", _boolean, True, "unless these are given, try what is fastest while cores are idle"),
        Flag("max_batch_size", _POSITIVE, None, "rows in one batch, and in one request; batches: 256"),
        Flag(
            "num_batch_threads",
            _POSITIVE,
            None,
            "batches that run at the same time; by default one a core, where it pays",
        ),
        Flag("batching_parameters_file", Path, None, "BatchingParameters in text format"),
        Flag("enable_per_model_batching_parameters", _boolean, False, "read batching_params.pbtxt of each version"),
        Flag("padding_values", str, "", "input=value,...: what variable lengths are padded with"),
        Flag("length_buckets", str, "", "comma-separated edges: only lengths between the same two run together"),
        Flag("pad_to_bucket", _boolean, False, "pad up to the upper edge, whatever the company"),
        Flag("enable_serialization_as_tensor_content", _boolean, False, "answer in tensor_content, not typed fields"),
    ),
    "what is refused": (
        Flag("enable_signature_method_name_check", _boolean, False, "answer only the method a signature was made for"),
        Flag("strict_shapes", _boolean, False, "refuse shapes that are not the signature's, and show both"),
        Flag("max_message_bytes", _POSITIVE, 2**31 - 1, "size of one request"),
        Flag("max_request_rows", _COUNT, 100_000, "rows of one request. 0: no limit"),
        Flag("max_text_bytes", _POSITIVE, None, "bytes of one text"),
        Flag("max_image_pixels", _POSITIVE, None, "pixels of one picture"),
        Flag("max_concurrent_calls", _POSITIVE, 8192, "calls at the same time"),
    ),
    "what is kept": (
        Flag("request_log", Path, None, "folder of the request log"),
        Flag("request_log_sampling", _share, 1.0, "share of requests, texts included, that is logged. 0: none"),
        Flag("request_log_file_bytes", _POSITIVE, 64 << 20, "a file this large is closed and a new one begun"),
        Flag("request_log_file_seconds", _at_least(1, float), 3600.0, "likewise a file this old"),
        Flag("model_tuning_cache", Path, None, "folder where --enable_model_tuning remembers what is fastest"),
        Flag("request_log_total_bytes", _POSITIVE, 1 << 30, "beyond this the oldest files are deleted"),
    ),
}
STORE = (
    Flag("home", Path, Path("workspace"), "workspace ($UNROLL_HOME); its store/ is served"),
    Flag("store", Path, None, "store to serve, instead of the workspace's"),
)
UNNEEDED = {
    "enable_batching": "requests are always batched",
    "enable_grpc_healthcheck_service": "health is always told",
    "enable_profiler": "profile with TensorFlow's own tools",
    "flush_filesystem_caches": "versions are not read ahead",
    "grpc_max_threads": "one event loop answers all",
    "num_tflite_interpreters_per_pool": "TensorFlow Lite is not run",
    "num_tflite_pools": "TensorFlow Lite is not run",
    "num_unload_threads": "versions are unloaded aside",
    "remove_unused_fields_from_bundle_metagraph": "none are kept",
    "rest_api_num_threads": "one event loop answers all",
    "skip_initialize_tpu": "there is none to initialise",
    "xla_cpu_compilation_enabled": "what a model asks to be compiled is",
    "xla_gpu_compilation_enabled": "what a model asks to be compiled is",
}
"""Flags of tensorflow_model_server that a script may go on giving, though there is nothing here for them to do."""
UNSUPPORTED = {
    "mixed_precision": "export the model in the precision that it is to run in",
    "platform_config_file": "use --batching_parameters_file and the --tensorflow_ flags",
    "prefer_tflite_model": "export a SavedModel",
    "thread_pool_factory_config_file": "use the --tensorflow_ flags",
    "use_alts_credentials": "use --ssl_config_file",
}
"""Flags of tensorflow_model_server that change what is served, and cannot be honoured."""
_OFF = ("", "false", "0", "0.0")  # what a flag says that asks for nothing


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')}. `{self.prog} --help` lists the flags.")


def parse(arguments: Sequence[str], program: str, extra: Sequence[Flag] = (), **defaults: Any) -> argparse.Namespace:
    """Reads a command line: `--flag=value`, `--flag value`, and `--flag` alone for one that is true or false.

    Args:
        arguments: without the program's name.
        program: its name, for messages.
        extra: flags that this program alone has.
        defaults: where they differ from the table's.

    Returns:
        A value for each flag of the table; as `store`, what is served where no flag names anything else, None unless
        that is a flag, too; and as `said`, the names of those that were given.

    Raises:
        UserError: an unknown flag, one that cannot be honoured, an invalid value, or flags that contradict each
            other.
    """
    parser = _Parser(
        program,
        description="Serve models over TensorFlow Serving's gRPC and REST APIs. SIGTERM drains and stops.",
        epilog="Flags of tensorflow_model_server that mean nothing here are accepted: " + ", ".join(UNNEEDED) + ".",
        allow_abbrev=False,
    )
    groups = {**({"workspace": tuple(extra)} if extra else {}), **GROUPS}
    for title, flags in groups.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            default = defaults.get(flag.name, flag.default)
            shown = "" if default in (None, "") else f" [{str(default).lower() if flag.kind is _boolean else default}]"
            bare: dict[str, Any] = {"nargs": "?", "const": True} if flag.kind is _boolean else {}
            group.add_argument(
                f"--{flag.name}",
                type=flag.kind,
                default=default,
                help=(flag.help + shown).replace("%", "%%"),
                metavar="BOOL" if flag.kind is _boolean else "VALUE",
                **bare,
            )
    for name in (*UNNEEDED, *UNSUPPORTED):
        parser.add_argument(f"--{name}", nargs="?", const="true", default="", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="store_true", help="say which version this is")
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        near = difflib.get_close_matches(unknown[0].strip("-").partition("=")[0], vars(given), 1)
        parser.error(f"unknown flag {' '.join(unknown)}" + (f"; there is --{near[0]}" if near else ""))
    vars(given).setdefault("store", None)
    given.said = frozenset(one[2:].partition("=")[0] for one in arguments if one.startswith("--"))
    if given.version:
        _print_version()
    for name, remedy in UNSUPPORTED.items():
        if getattr(given, name).lower() not in _OFF:
            raise UserError(f"--{name} is not supported by this server: {remedy}. Leave the flag out.")
    _check_together(given)
    return given


def _check_together(given: argparse.Namespace) -> None:
    if given.rest_api_port and given.rest_api_port == given.port:
        raise UserError(f"--rest_api_port {given.port}: gRPC is answered there (--port). Choose another port.")
    if given.grpc_socket_path and (given.workers or 1) > 1:
        raise UserError(
            f"--grpc_socket_path {given.grpc_socket_path}: one process alone can listen there. Use --workers=1."
        )
    if given.engine != "remote":
        if given.remote_address:
            raise UserError(
                f"--remote_address {given.remote_address}: models run in this process. Add --engine=remote."
            )
        return
    if not given.remote_address:
        raise UserError("--engine=remote: --remote_address is missing. Give the host:port of the other server.")
    if given.verify_public_key:
        raise UserError(
            f"--verify_public_key {given.verify_public_key}: with --engine=remote, the server at "
            f"{given.remote_address} loads the models. Leave the flag out, and trust that server's."
        )
    for name in ("model_config_file", "model_base_path", "model_name"):
        if getattr(given, name):
            raise UserError(
                f"--{name}: with --engine=remote, the server at {given.remote_address} says what is served."
            )


def _print_version() -> NoReturn:
    from importlib.metadata import version

    print(f"Unroll {version('unroll-sequences')}, TensorFlow {version('tensorflow')}")
    sys.exit(0)
