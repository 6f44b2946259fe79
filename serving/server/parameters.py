"""What a server is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unroll.serving.front.auth import Auth
from unroll.serving.front.limits import Limits
from unroll.serving.front.request_log import RequestLogParameters
from unroll.serving.front.tls import Certificates
from unroll.serving.http2 import GrpcLimits
from unroll.serving.processes.growth import GrowthParameters
from unroll.serving.processes.siblings import SiblingPaths
from unroll.serving.rest import RestParameters
from unroll.serving.services.remote_engine import RemoteParameters
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.served_model import VersionParameters


@dataclass(frozen=True)
class Ports:
    """Where a server listens.

    Args:
        host: address to listen on. The default answers this machine only.
        grpc: gRPC's TCP port; 0 picks a free one.
        unix_socket: path of a UNIX socket on which gRPC is answered too.
        rest: REST's TCP port; 0: no REST.
        grpc_tls: for gRPC's port; None: plain text.
        rest_tls: for REST's.
        shared: whether other processes of this server listen on the same ports.
    """

    host: str = "127.0.0.1"
    grpc: int = 8500
    unix_socket: Path | None = None
    rest: int = 0
    grpc_tls: Certificates | None = None
    rest_tls: Certificates | None = None
    shared: bool = False


@dataclass(frozen=True)
class Services:
    """How requests are read and answered: see `unroll.serving.services.prediction_service.PredictionService`."""

    limits: Limits = field(default_factory=Limits)
    tensor_content: bool = False
    strict_shapes: bool = False
    check_method_names: bool = False


@dataclass(frozen=True)
class Logging:
    """Where requests are kept, None for nowhere, and which of them."""

    folder: Path | None = None
    parameters: RequestLogParameters = field(default_factory=RequestLogParameters)


@dataclass(frozen=True)
class ServerParameters:
    """All of it.

    Args:
        ports: where to listen.
        grpc: what gRPC's clients may use up.
        rest: how REST answers.
        services: how requests are read and answered.
        loading: how versions are loaded.
        versions: how versions are followed.
        logging: the request log.
        auth: who may ask; None: everybody.
        remote: the server that has the models, for the remote engine.
        remote_models: names of its models whose health is told from the start on.
        model_config_file: followed for changes of what is served.
        model_config_seconds: how often; 0: never.
        poll_seconds: how often directories are looked at; 0: once.
        drain_seconds: how long requests in flight may take after SIGTERM.
        siblings: where the other processes of this server are, or would be; None: there are none.
        growth: how it starts these; None: it does not.
    """

    ports: Ports = field(default_factory=Ports)
    grpc: GrpcLimits = field(default_factory=GrpcLimits)
    rest: RestParameters = field(default_factory=RestParameters)
    services: Services = field(default_factory=Services)
    loading: LoadParameters = field(default_factory=LoadParameters)
    versions: VersionParameters = field(default_factory=VersionParameters)
    logging: Logging = field(default_factory=Logging)
    auth: Auth | None = None
    remote: RemoteParameters | None = None
    remote_models: Sequence[str] = ()
    model_config_file: Path | None = None
    model_config_seconds: float = 0.0
    poll_seconds: float = 1.0
    drain_seconds: float = 30.0
    siblings: SiblingPaths | None = None
    growth: GrowthParameters | None = None
