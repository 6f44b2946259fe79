"""The command line of the model server: what it takes, and what it says of the rest."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from unroll.errors import UserError
from unroll.serving.front.limits import Limits
from unroll.serving.http2 import GrpcLimits
from unroll.serving.server import flags, ignored_flags, settings

# As of tensorflow_model_server's main.cc, July 2026.
STOCK = """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support
enable_batching allow_version_labels_for_unavailable_models batching_parameters_file
enable_per_model_batching_parameters model_config_file model_config_file_poll_wait_seconds model_name model_base_path
num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros file_system_poll_wait_seconds
flush_filesystem_caches tensorflow_session_parallelism tensorflow_session_config_file tensorflow_intra_op_parallelism
tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file platform_config_file
per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments grpc_max_threads enable_model_warmup
num_request_iterations_for_warmup version monitoring_config_file remove_unused_fields_from_bundle_metagraph
prefer_tflite_model num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check
xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision
skip_initialize_tpu enable_grpc_healthcheck_service enable_serialization_as_tensor_content
"""


def test_every_flag_of_the_stock_server_is_known() -> None:
    known = {flag.name for group in flags.GROUPS.values() for flag in group} | {"version"}
    assert set(STOCK.split()) <= known | flags.UNNEEDED.keys() | flags.UNSUPPORTED.keys()
    assert not known & (flags.UNNEEDED.keys() | flags.UNSUPPORTED.keys())


def test_a_script_for_the_stock_server_is_read_as_it_stands() -> None:
    given = flags.parse(
        [
            "--port=8500",
            "--rest_api_port",
            "8501",
            "--model_name=m",
            "--model_base_path=/models/m",
            "--enable_batching",
            "--enable_model_warmup=false",
            "--rest_api_num_threads=16",
            "--saved_model_tags=serve",
            "--prefer_tflite_model=false",
            "--file_system_poll_wait_seconds=5",
        ],
        "server",
    )
    assert (given.port, given.rest_api_port, given.model_name) == (8500, 8501, "m")
    assert given.enable_model_warmup is False
    assert given.file_system_poll_wait_seconds == 5.0
    assert given.rest_api_enable_cors_support is False
    assert flags.parse(["--rest_api_enable_cors_support"], "server").rest_api_enable_cors_support is True


REFUSED = {
    "--prt=1": r"unknown flag --prt=1; there is --port\. `server --help` lists the flags\.",
    "--zzz": r"unknown flag --zzz\. `server --help`",
    "--remote_address=foo": r"--remote_address: expected host:port, received 'foo'",
    "--remote_address=::1": r"--remote_address: expected host:port, received '::1'",
    "--port=a": r"--port: expected a number, received 'a'",
    "--port=70000": r"--port: expected a port, 0 to 65535, received 70000",
    "--workers=0": r"--workers: expected 1 or more, received 0",
    "--canary_share=1.5": r"--canary_share: expected a share between 0 and 1, received 1\.5",
    "--strict_shapes=maybe": r"--strict_shapes: expected true or false, received 'maybe'",
    "--engine=tpu": r"--engine: expected session or remote, received 'tpu'",
    "--prefer_tflite_model": r"--prefer_tflite_model is not supported by this server: export a SavedModel",
    "--platform_config_file=x": r"--platform_config_file is not supported",
    "--model_name": r"--model_name: expected one argument",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_cannot_be_honoured_says_so(argument: str) -> None:
    with pytest.raises(UserError, match=REFUSED[argument]) as refused:
        flags.parse([argument], "server")
    assert "\n" not in str(refused.value)


def test_nothing_is_limited_by_default_that_is_not_in_the_stock_server() -> None:
    parameters = settings.parameters(flags.parse([], "server"))
    assert parameters.grpc.max_message_bytes == 2**31 - 1
    assert parameters.rest.max_body_bytes == 16 << 20  # JSON costs more to read than it does to send
    assert parameters.grpc.max_buffered_bytes >= parameters.grpc.max_message_bytes
    assert parameters.loading.batching.max_batch_size == sys.maxsize
    assert parameters.loading.batching.rows_of_a_run == 256
    assert parameters.services.limits == Limits(max_batch_rows=100_000)  # a row may cost nothing to send
    assert settings.parameters(flags.parse(["--max_request_rows=0"], "server")).services.limits == Limits()
    bounded = settings.parameters(flags.parse(["--max_batch_size=300"], "server")).loading.batching
    assert (bounded.max_batch_size, bounded.rows_of_a_run) == (300, 300)


def test_channel_arguments_limit_lift_or_mean_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def limits(arguments: str) -> GrpcLimits:
        given = flags.parse([f"--grpc_channel_arguments={arguments}", "--max_message_bytes=7"], "server")
        return settings.parameters(given).grpc

    assert limits("grpc.max_receive_message_length=9,grpc.max_concurrent_streams=8").max_message_bytes == 9
    assert limits("grpc.max_receive_message_length=-1").max_message_bytes == 2**31 - 1
    assert limits("grpc.max_concurrent_streams=5").max_streams == 5
    caplog.set_level("INFO")
    caplog.clear()
    meaningless = "grpc.max_connection_age_ms=5,grpc.keepalive_time_ms=-1,grpc.http2.max_ping_strikes=0"
    meaningless += ",grpc.enable_retries=1,grpc.lb_policy_name=round_robin"  # gRPC ignores what a server has no use for
    assert limits(f"{meaningless},grpc.so_reuseport=0") == limits("")
    (said,) = caplog.messages
    assert "grpc.keepalive_time_ms=-1" in said


def test_what_the_stock_server_has_of_sessions_is_honoured(tmp_path: Path) -> None:
    file = tmp_path / "session.pbtxt"
    file.write_text("gpu_options { visible_device_list: '1' } graph_options { place_pruned_graph: true }")
    given = ["--per_process_gpu_memory_fraction=0.25", "--saved_model_tags=serve,gpu"]
    loading = settings.parameters(flags.parse([*given, f"--tensorflow_session_config_file={file}"], "server")).loading
    assert loading.tags == ("serve", "gpu")
    assert loading.session_config.gpu_options.per_process_gpu_memory_fraction == 0.25
    assert loading.session_config.gpu_options.visible_device_list == "1"
    assert loading.session_config.graph_options.place_pruned_graph


def test_what_a_script_asks_of_the_stock_server_in_vain_does_not_stop_it() -> None:
    flags.parse(
        ["--enable_profiler", "--xla_cpu_compilation_enabled=true", "--num_request_iterations_for_warmup=-1"], "m"
    )


def test_flags_that_do_not_count_beside_others_are_told_once_each() -> None:
    def told(*arguments: str) -> list[str]:
        return list(ignored_flags.lines(flags.parse(arguments, "server")))

    assert not told()
    assert not told("--rest_api_port=8501", "--rest_api_timeout_in_ms=5", "--tensorflow_intra_op_parallelism=1")
    reason = "does not count: --tensorflow_session_parallelism sets the threads of both kinds"
    both = ("--tensorflow_session_parallelism", "2", "--tensorflow_inter_op_parallelism=1")
    assert told(*both, "--tensorflow_intra_op_parallelism", "1") == [
        f"--tensorflow_intra_op_parallelism {reason}",
        f"--tensorflow_inter_op_parallelism {reason}",
    ]
    assert told("--rest_api_timeout_in_ms=30000") == [  # though it is the default
        "--rest_api_timeout_in_ms does not count: there is no REST without --rest_api_port"
    ]
    assert told("--batching_parameters_file=f", "--max_batch_size=8") == [
        "--batching_parameters_file: its max_batch_size does not count: --max_batch_size is given"
    ]
    remote = told(
        "--engine=remote", "--remote_address=a:1", "--model_config_file_poll_wait_seconds=1", "--strict_shapes"
    )
    assert [line.split()[0] for line in remote] == ["--model_config_file_poll_wait_seconds", "--strict_shapes"]


def test_every_flag_that_may_not_count_is_one() -> None:
    known = {flag.name for group in (*flags.GROUPS.values(), flags.STORE) for flag in group}
    assert {name for rule in ignored_flags.RULES for name in rule.flags} <= known


def server(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unroll.serving.server", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_and_version_come_at_once_and_name_every_flag() -> None:
    said = server("--help").stdout
    assert all(f"--{flag.name}" in said for group in flags.GROUPS.values() for flag in group)
    assert server("--version").stdout.startswith("Unroll ")


PROBLEMS = {
    "nothing to serve": ((), r"--model_base_path is missing"),
    "a session's configuration that is not one": (
        ("--model_base_path=MODEL", "--tensorflow_session_config_file=FILE"),
        "Expected protobuf's text format of ConfigProto",
    ),
    "one port twice": (("--model_base_path=MODEL", "--port=8500", "--rest_api_port=8500"), "gRPC is answered there"),
    "no such folder": (
        ("--model_base_path=FILE/m",),
        "--model_base_path FILE/m: Not a directory. Name the folder that holds the model's versions.",
    ),
    "a batching file that is not one": (("--model_base_path=MODEL", "--batching_parameters_file=FILE"), "FILE"),
    "a token file that is not one": (("--model_base_path=MODEL", "--auth_tokens_file=/nowhere"), "/nowhere"),
    "a TLS file that is not one": (("--model_base_path=MODEL", "--ssl_config_file=FILE"), "FILE"),
    "a channel argument that is not a limit": (
        ("--model_base_path=MODEL", "--grpc_channel_arguments=grpc.max_concurrent_streams=many"),
        "'grpc.max_concurrent_streams=many' is not a limit. Write it as grpc.max_concurrent_streams=NUMBER",
    ),
    "a remote server without address": (("--engine=remote",), "--remote_address is missing"),
    "an address without a remote engine": (
        ("--model_base_path=MODEL", "--remote_address=127.0.0.1:1"),
        "Add --engine=remote",
    ),
    "a remote server and a model": (
        ("--engine=remote", "--remote_address=127.0.0.1:1", "--model_base_path=MODEL"),
        "says what is served",
    ),
    "a request log that cannot be written": (
        ("--model_base_path=MODEL", "--request_log=FILE/log"),
        "--request_log FILE/log: FILE is a file, not a folder. Move it away",
    ),
    "a file where the request log is to be": (
        ("--model_base_path=MODEL", "--request_log=FILE"),
        "--request_log FILE: FILE is a file, not a folder. Move it away",
    ),
    "a file where a UNIX socket is to be": (
        ("--model_base_path=MODEL", "--grpc_socket_path=FILE"),
        "--grpc_socket_path FILE: there is a file of this name, not a socket. Move it away, or name another path.",
    ),
    "a folder where a UNIX socket is to be": (
        ("--model_base_path=MODEL", "--grpc_socket_path=MODEL"),
        "there is a folder of this name, not a socket. Move it away, or name another path.",
    ),
    "a UNIX socket in no folder": (
        ("--model_base_path=MODEL", "--grpc_socket_path=MODEL/none/grpc.sock"),
        "none. Make it, or name a path in one that is there.",
    ),
    "a UNIX socket with a path that is too long": (
        ("--model_base_path=MODEL", f"--grpc_socket_path=MODEL/{'x' * 107}"),
        "a socket's path has 107 bytes at most, and this one ",
    ),
    "padding values without padding": (
        ("--model_base_path=MODEL", "--padding_values=x=0"),
        "pad_variable_length_inputs",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_flags_that_lead_nowhere_end_in_one_line(name: str, tmp_path: Path) -> None:
    check_one_line(name, tmp_path)


SOME = (
    "a batching file that is not one",
    "a file where the request log is to be",
    "a file where a UNIX socket is to be",
    "a UNIX socket in no folder",
)


@pytest.mark.parametrize("name", SOME)
def test_some_of_the_flags_that_lead_nowhere(name: str, tmp_path: Path) -> None:
    check_one_line(name, tmp_path)


def check_one_line(name: str, tmp_path: Path) -> None:
    arguments, said = PROBLEMS[name]
    file = tmp_path / "file"
    file.write_text("this is not a configuration")
    model = tmp_path / "model"
    (model / "1").mkdir(parents=True)
    done = server(*(argument.replace("FILE", str(file)).replace("MODEL", str(model)) for argument in arguments))
    assert done.returncode == 2
    assert done.stderr.startswith("error: "), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert said.replace("FILE", str(file)) in done.stderr


def test_a_server_that_finds_no_store_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "unroll",
        "serve",
        "--home",
        str(tmp_path / "typo"),
        "--port=0",
        "--rest_api_port=0",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(f"error: {tmp_path / 'typo' / 'store'}: no model to serve.")
    assert not list(tmp_path.iterdir())
