"""From what the command line says to what the server is made of. Files that flags name are read here."""

import argparse
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.tensorflow_runtime import config_pb2
from unroll.serving.front.auth import Auth
from unroll.serving.front.limits import Limits
from unroll.serving.front.request_log import RequestLogParameters
from unroll.serving.front.tls import Certificates, read_ssl_config
from unroll.serving.http2 import GrpcLimits
from unroll.serving.protocol import text_protos
from unroll.serving.rest import ConnectionLimits, RestParameters, hosts
from unroll.serving.rest.monitoring import metrics_path
from unroll.serving.server.parameters import Logging, Ports, ServerParameters, Services
from unroll.serving.services.remote_engine import RemoteParameters
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.served_model import VersionParameters
from unroll.serving.versions.verification import Verifier

_log = logging.getLogger(__name__)
# Of gRPC's channel arguments: the limit that each of them sets.
_CHANNEL_ARGUMENTS = {
    "grpc.max_receive_message_length": "max_message_bytes",
    "grpc.max_concurrent_streams": "max_streams",
    "grpc.max_metadata_size": "max_header_bytes",
}
_NO_LIMIT = 2**31 - 1  # more than a message can have; gRPC writes it as -1


def parameters(given: argparse.Namespace) -> ServerParameters:
    """How to serve it.

    Args:
        given: see `unroll.serving.server.flags`.

    Raises:
        UserError: a file that cannot be read, or batching flags that contradict each other.
    """
    return ServerParameters(
        ports=Ports(
            host=given.host,
            grpc=given.port,
            unix_socket=given.grpc_socket_path,
            rest=given.rest_api_port,
            grpc_tls=_certificates(given.ssl_config_file, "--ssl_config_file"),
            rest_tls=_certificates(given.rest_ssl_config_file, "--rest_ssl_config_file"),
        ),
        grpc=_grpc_limits(given),
        rest=RestParameters(
            timeout_seconds=given.rest_api_timeout_in_ms / 1000,
            max_body_bytes=min(given.rest_api_max_body_bytes, given.max_message_bytes),
            cors=given.rest_api_enable_cors_support,
            metrics_path=metrics_path(given.monitoring_config_file),
            hosts=hosts.for_address(given.host, [name for name in given.rest_allowed_hosts.split(",") if name]),
            connections=_connection_limits(given.rest_api_client_timeout_in_ms / 1000),
        ),
        services=Services(
            limits=Limits(given.max_request_rows or None, given.max_text_bytes, given.max_image_pixels),
            tensor_content=given.enable_serialization_as_tensor_content,
            strict_shapes=given.strict_shapes,
            check_method_names=given.enable_signature_method_name_check,
        ),
        loading=_loading(given),
        versions=VersionParameters(
            num_load_threads=given.num_load_threads,
            max_num_load_retries=given.max_num_load_retries,
            load_retry_seconds=max(given.load_retry_interval_micros, 0) / 1e6,
            allow_version_labels_for_unavailable_models=given.allow_version_labels_for_unavailable_models,
            canary_share=given.canary_share,
        ),
        logging=Logging(
            given.request_log if given.request_log_sampling else None,
            RequestLogParameters(
                sampling=given.request_log_sampling,
                file_bytes=given.request_log_file_bytes,
                file_seconds=given.request_log_file_seconds,
                total_bytes=given.request_log_total_bytes,
            ),
        ),
        auth=Auth(given.auth_tokens_file) if given.auth_tokens_file else None,
        remote=_remote(given),
        remote_models=tuple(name for name in given.remote_models.split(",") if name),
        model_config_file=given.model_config_file,
        model_config_seconds=given.model_config_file_poll_wait_seconds,
        poll_seconds=given.file_system_poll_wait_seconds,
        drain_seconds=given.drain_seconds,
    )


def _certificates(file: Path | None, option: str) -> Certificates | None:
    return read_ssl_config(file, option) if file else None


def _connection_limits(seconds: float) -> ConnectionLimits:
    return ConnectionLimits(
        head_seconds=seconds, body_seconds=seconds, answer_seconds=seconds, handshake_seconds=seconds
    )


def _grpc_limits(given: argparse.Namespace) -> GrpcLimits:
    limits = {"max_message_bytes": given.max_message_bytes, "max_concurrent_calls": given.max_concurrent_calls}
    unneeded = []
    for argument in filter(None, given.grpc_channel_arguments.split(",")):
        key, _, value = argument.partition("=")
        if key not in _CHANNEL_ARGUMENTS:  # gRPC has hundreds, and ignores others
            unneeded.append(argument)
        elif not re.fullmatch(r"-1|\d+", value):
            raise UserError(
                f"--grpc_channel_arguments: {argument!r} is not a limit. Write it as {key}=NUMBER; -1 stands for none."
            )
        else:
            limits[_CHANNEL_ARGUMENTS[key]] = _NO_LIMIT if value == "-1" else min(int(value), _NO_LIMIT)
    if unneeded:
        _log.info("--grpc_channel_arguments: nothing here depends on %s", ", ".join(unneeded))
    # A message of the largest size may come in parts.
    most = max(limits["max_message_bytes"], GrpcLimits.max_buffered_bytes)
    return GrpcLimits(**limits, max_buffered_bytes=most)


def _loading(given: argparse.Namespace) -> LoadParameters:
    if given.batching_parameters_file:
        batching = BatchingParameters.from_file(given.batching_parameters_file)
    else:
        batching = BatchingParameters(enable_large_batch_splitting=given.max_batch_size is None)
    sizes = {name: getattr(given, name) for name in ("max_batch_size", "num_batch_threads")}
    batching = replace(batching, **{name: size for name, size in sizes.items() if size is not None})
    batching = batching.with_lengths(given.padding_values, given.length_buckets, given.pad_to_bucket)
    return LoadParameters(
        batching=batching,
        parallelism=_parallelism(given),
        tuning_cache=given.model_tuning_cache,
        tags=tuple(tag for tag in given.saved_model_tags.split(",") if tag),
        session_config=_session_config(given),
        enable_model_warmup=given.enable_model_warmup,
        warmup_iterations=max(given.num_request_iterations_for_warmup, 1),
        per_model_batching=given.enable_per_model_batching_parameters,
        verify=Verifier(given.verify_public_key) if given.verify_public_key else None,
    )


def _session_config(given: argparse.Namespace) -> Any:
    file, option = given.tensorflow_session_config_file, "--tensorflow_session_config_file"
    config = text_protos.read(file, config_pb2.ConfigProto, option) if file else config_pb2.ConfigProto()
    if (
        config.intra_op_parallelism_threads
        or config.inter_op_parallelism_threads
        or config.session_inter_op_thread_pool
    ):
        _log.warning(
            "%s %s: its threads do not count. Give them by --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism",
            *(option, file),
        )
    if given.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = given.per_process_gpu_memory_fraction
    return config


def _parallelism(given: argparse.Namespace) -> Parallelism | None:
    """None where no flag says anything."""
    if both := given.tensorflow_session_parallelism:
        return Parallelism(intra_op=both, inter_op=both)
    intra_op, inter_op = given.tensorflow_intra_op_parallelism, given.tensorflow_inter_op_parallelism
    if intra_op is None and inter_op is None and given.enable_model_tuning:
        return None
    simplest = Parallelism()
    return Parallelism(
        intra_op=simplest.intra_op if intra_op is None else intra_op,
        inter_op=simplest.inter_op if inter_op is None else inter_op,
    )


def _remote(given: argparse.Namespace) -> RemoteParameters | None:
    if given.engine != "remote":
        return None
    return RemoteParameters(
        given.remote_address,
        max_message_bytes=given.max_message_bytes,
        root_certificates=given.remote_ca_file,
        client_certificate=given.remote_certificate_file,
        client_key=given.remote_key_file,
    )
