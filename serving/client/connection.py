"""How a client connects: what its channel is made of, and what a failure to connect means."""

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from unroll.errors import UserError
from unroll.serving.files import regular_files
from unroll.serving.protocol import arguments

_MAX_BYTES = (1 << 31) - 1  # of a message of protobuf's
# How gRPC begins what it says of itself. A server may pass on the same of another server, further on in its text.
_NOT_CONNECTED = "failed to connect to all addresses"
_NOT_FOUND = ("errors resolving ", "Failed to create channel to ")
_ENDED = ("Socket closed", "reset by peer", "Broken pipe")
_DISTRUSTED = (
    "signature failure",
    "unable to get local issuer",
    "unable to get issuer",
    "self signed",
    "self-signed",
    "unable to verify",
)
_HOST_PORT = re.compile(r"(?:dns:/*)?(\[?[^/\[\]]+\]?):(\d+)")
_MAX_ADDRESSES = 4


@dataclass(frozen=True)
class Names:
    """What a client's arguments are called where its user gives them: errors use these."""

    address: str = "address"
    model: str = "model"
    token: str = "token"
    tls: str = "tls=True or root_certificates"
    root_certificates: str = "root_certificates"
    client_certificate: str = "client_certificate"
    client_key: str = "client_key"
    max_message_bytes: str | None = "max_message_bytes"


PYTHON = Names()


def options(max_message_bytes: int) -> tuple[tuple[str, int], ...]:
    """A channel's options.

    Raises:
        UserError: the limit is not a number of bytes.
    """
    arguments.check_bytes("max_message_bytes", max_message_bytes, _MAX_BYTES)
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.use_local_subchannel_pool", 1),  # a new client does not wait for what another one waits for
    )


def credentials(
    root_certificates: str | Path | None,
    client_certificate: str | Path | None,
    client_key: str | Path | None,
    names: Names = PYTHON,
) -> grpc.ChannelCredentials:
    """Reads PEM files. They are checked here, since gRPC says of a wrong one only that it does not connect.

    Raises:
        UserError: a file cannot be read or is not PEM, the key is missing or not the certificate's, or has a password.
    """
    if bool(client_certificate) != bool(client_key):
        raise UserError(f"{names.client_certificate} and {names.client_key} belong together. Give both")
    roots = _read(names.root_certificates, root_certificates)
    certificate = _read(names.client_certificate, client_certificate)
    key = _read(names.client_key, client_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root_certificates:
        try:
            context.load_verify_locations(root_certificates)
        except ssl.SSLError:
            raise UserError(
                f"{names.root_certificates} {root_certificates}: no certificate in PEM. It begins with "
                "-----BEGIN CERTIFICATE-----"
            ) from None
    if client_certificate:
        try:
            context.load_cert_chain(client_certificate, client_key, password="")
        except ssl.SSLError as error:
            raise UserError(
                f"{names.client_certificate} {client_certificate}, {names.client_key} {client_key}: not a certificate "
                f"in PEM and its key, without a password ({error.reason or 'no PEM'})"
            ) from None
    return grpc.ssl_channel_credentials(roots, key, certificate)


def addresses(address: str) -> list[str]:
    """The addresses behind a name, as gRPC takes them; empty where there is no name.

    Of several that cannot be connected to, gRPC tells of one only. Behind `localhost` it always sees two, of which ::1
    has no server as a rule.
    """
    named = _HOST_PORT.fullmatch(address)
    if not named:
        return []
    host, port = named[1].strip("[]"), int(named[2])
    try:
        found = [(family, place[0]) for family, *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        return []
    if any(one == host for _, one in found):
        return []
    form = {socket.AF_INET: "ipv4:{}:{}", socket.AF_INET6: "ipv6:[{}]:{}"}
    return [form[family].format(one, port) for family, one in dict.fromkeys(found)][:_MAX_ADDRESSES]


def host_of(address: str) -> str:
    """The name by which a server's certificate is checked."""
    named = _HOST_PORT.fullmatch(address)
    return named[1] if named else address


def nobody_answers(error: Any) -> bool:
    """Whether a failure to connect says no more than that nobody answers there."""
    details = error.details() or ""
    return details.startswith(_NOT_CONNECTED) and _diagnosis(details, "", PYTHON, False, False) is None


def explained(
    error: Any, address: str, timeout: float, names: Names = PYTHON, *, secure: bool, certified: bool, token: bool
) -> str:
    """What a status means in terms of the client's arguments; a server's own text as it is.

    Args:
        error: the RpcError.
        address: the server's.
        timeout: seconds that the client waits.
        names: of the client's arguments.
        secure: whether its channel is encrypted.
        certified: whether the client shows a certificate.
        token: whether it sends a token.
    """
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and details in ("", "Deadline Exceeded"):
        return f"no answer from {address} within {timeout:g} seconds"
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return f"{details.rstrip('.')}. Give {'another' if token else 'one'} with {names.token}"
    if "CLIENT: " in details and "message larger than max" in details:
        if names.max_message_bytes is None:
            return f"{details}. Send less at once"
        return (
            f"{details}. Give the client a larger {names.max_message_bytes}, and the server a larger "
            "--max_message_bytes"
        )
    if details.startswith(_NOT_FOUND):
        return "no server of that name is found. Give its host:port, as in 127.0.0.1:8500"
    if not details.startswith(_NOT_CONNECTED):
        return details
    diagnosis = _diagnosis(details, address, names, secure, certified)
    return diagnosis or f"no server answers at {address}. Start one with `unroll serve`, or check the address"


def _diagnosis(details: str, address: str, names: Names, secure: bool, certified: bool) -> str | None:
    """Why what listens at an address is not connected to; None where nobody listens."""
    if "Hostname Verification" in details:
        return f"no TLS with {address}: its certificate is for another name. Ask it by a name that stands there"
    if "WRONG_VERSION_NUMBER" in details:
        return (
            f"no TLS with {address}: it does not speak it, or REST alone. Give the server's gRPC port, and have it "
            f"started with --ssl_config_file; or leave out {names.tls}"
        )
    if "certificate has expired" in details:
        return f"no TLS with {address}: its certificate has expired. Have it renewed, or set this machine's clock"
    if "certificate is not yet valid" in details:
        return f"no TLS with {address}: its certificate is not valid yet. Set this machine's clock, or the server's"
    if any(sign in details for sign in _DISTRUSTED):
        return (
            f"no TLS with {address}: its certificate is of an authority that is not trusted. Give the PEM file of that "
            f"authority with {names.root_certificates}"
        )
    if "handshake" in details:
        return f"no TLS with {address}: {details}. Check the client's certificates and the server's"
    if "HTTP/2" in details or "ALPN" in details:
        return f"{address} does not speak gRPC. Give the server's gRPC port: REST's is another"
    if not any(sign in details for sign in _ENDED):
        return None
    if not secure:
        return f"{address} ends the connection. If it speaks TLS, give {names.tls}"
    if certified:
        return f"{address} ends the connection. If it trusts another authority, give {names.client_certificate} of that"
    return (
        f"{address} ends the connection. If it asks for a certificate, give {names.client_certificate} and "
        f"{names.client_key}"
    )


def _read(name: str, file: str | Path | None) -> bytes | None:
    try:
        return regular_files.read(file) if file else None
    except OSError as error:
        raise UserError(f"{name} {file}: cannot be read ({error.strerror}). Name a PEM file") from None
