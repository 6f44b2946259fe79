"""How a client connects: what its channel is made of, and what a failure to connect means."""

import ssl
from pathlib import Path
from typing import Any

import grpc

from errors import UserError
from serving import regular_files

_MOST_BYTES = (1 << 31) - 1  # of a message of protobuf's
# How gRPC begins what it says of itself. A server may pass on the same of another server, further on in its text.
_NOT_CONNECTED = "failed to connect to all addresses"
_NOT_FOUND = ("errors resolving ", "Failed to create channel to ")
_ENDED = ("Socket closed", "reset by peer", "Broken pipe")


def options(max_message_bytes: int) -> tuple[tuple[str, int], ...]:
    """A channel's options.

    Raises:
        UserError: the limit is none.
    """
    if not 0 < max_message_bytes <= _MOST_BYTES:
        raise UserError(f"max_message_bytes is {max_message_bytes}. Give 1 to {_MOST_BYTES}")
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 1000),
    )


def credentials(
    root_certificates: str | Path | None, client_certificate: str | Path | None, client_key: str | Path | None
) -> grpc.ChannelCredentials:
    """Reads PEM files. They are checked here, since gRPC says of a wrong one only that it does not connect.

    Raises:
        UserError: a file cannot be read or is not PEM, the key is missing or not the certificate's, or has a password.
    """
    if bool(client_certificate) != bool(client_key):
        raise UserError("client_certificate and client_key belong together. Give both")
    roots = _read("root_certificates", root_certificates)
    certificate = _read("client_certificate", client_certificate)
    key = _read("client_key", client_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root_certificates:
        try:
            context.load_verify_locations(root_certificates)
        except ssl.SSLError:
            raise UserError(
                f"root_certificates {root_certificates}: no certificate in PEM. It begins with "
                "-----BEGIN CERTIFICATE-----"
            ) from None
    if client_certificate:
        try:
            context.load_cert_chain(client_certificate, client_key, password="")
        except ssl.SSLError as error:
            raise UserError(
                f"client_certificate {client_certificate}, client_key {client_key}: not a certificate in PEM and its "
                f"key, without a password ({error.reason or 'no PEM'})"
            ) from None
    return grpc.ssl_channel_credentials(roots, key, certificate)


def explained(error: Any, address: str, timeout: float, secure: bool) -> str:
    """What a status means in terms of the client's arguments; a server's own text as it is.

    Args:
        error: the RpcError.
        address: the server's.
        timeout: seconds that the client waits.
        secure: whether its channel is encrypted.
    """
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and details in ("", "Deadline Exceeded"):
        return f"no answer from {address} within {timeout:g} seconds"
    if "CLIENT: " in details and "message larger than max" in details:
        return f"{details}. Give the client a larger max_message_bytes, and the server a larger --max_message_bytes"
    if details.startswith(_NOT_FOUND):
        return "no server of that name is found. Give its host:port, as in 127.0.0.1:8500"
    if not details.startswith(_NOT_CONNECTED):
        return details
    if "handshake" in details:
        return f"no TLS with {address}: {details}. Check the client's certificates and the server's"
    if "HTTP/2" in details or "ALPN" in details:
        return f"{address} does not speak gRPC. Give the server's gRPC port: REST's is another"
    if any(sign in details for sign in _ENDED):
        remedy = (
            "If it asks for a certificate, give the client client_certificate and client_key"
            if secure
            else "If it speaks TLS, give the client tls=True or root_certificates"
        )
        return f"{address} ends the connection. {remedy}"
    return f"no server answers at {address}. Start one with `unroll serve`, or check the address"


def _read(name: str, file: str | Path | None) -> bytes | None:
    try:
        return regular_files.read(file) if file else None
    except OSError as error:
        raise UserError(f"{name} {file}: cannot be read ({error.strerror}). Name a PEM file") from None
