"""TLS for the endpoints: certificates, and the contexts made of them."""

import datetime
import logging
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from unroll.errors import UserError
from unroll.serving.files.followed_file import FollowedFile
from unroll.serving.protocol import text_protos

_log = logging.getLogger(__name__)
_SSLConfig = text_protos.message(
    "tensorflow.serving.SSLConfig",
    {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
)
# HTTP/2 forbids the ciphers without forward secrecy or authenticated encryption (RFC 9113, appendix A).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, repr=False)
class Certificates:
    """What a server shows its clients, and asks of them.

    Args:
        key: the server's private key, PEM, without a password.
        certificate: the server's certificate and those that lead from it to an authority, PEM.
        authorities: those whose certificates clients must show, PEM; empty: clients need none.
        file: the configuration that they were read from, which is followed; None: they stay as they are.
        option: the flag that names it.
    """

    key: bytes
    certificate: bytes
    authorities: bytes = b""
    file: Path | None = field(default=None, compare=False)
    option: str = field(default="", compare=False)


def read_ssl_config(file: Path, option: str = "--ssl_config_file") -> Certificates:
    """Reads what tensorflow_model_server takes as `--ssl_config_file`: an SSLConfig in protobuf's text format.

    Its `server_key`, `server_cert` and `custom_ca` hold PEM text; with `client_verify: true` clients must show a
    certificate of `custom_ca`.

    Args:
        file: the configuration.
        option: how messages name it.

    Raises:
        UserError: the file cannot be read or is not an SSLConfig; what it holds is not PEM; the key is not that of the
            certificate, which may also have expired.
    """
    config = text_protos.read(file, _SSLConfig, option)
    for name in ("server_key", "server_cert", *(("custom_ca",) if config.client_verify else ())):
        if not getattr(config, name):
            raise UserError(f'{option} {file}: has no {name}. Give its PEM text: {name}: "-----BEGIN ...\\n..."')
    authorities = config.custom_ca.encode() if config.client_verify else b""
    certificates = Certificates(config.server_key.encode(), config.server_cert.encode(), authorities, file, option)
    _check(certificates, *(f"{option} {file}: {name}" for name in ("server_key", "server_cert", "custom_ca")))
    return certificates


def server_context(certificates: Certificates, protocol: str) -> ssl.SSLContext:
    """Makes the context of a listening socket: TLS 1.2 or later.

    Connections that are made when the certificates' file has changed have what it says then; those that there are keep
    what they have. A file of which no good certificates can be read is told, and changes nothing.

    Args:
        certificates: checked ones.
        protocol: what is spoken over it, as ALPN names it: `h2` for gRPC, `http/1.1` for REST.

    Raises:
        UserError: OpenSSL takes the certificate for too weak.
    """
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.follow(certificates, protocol)
    return context


class _ServerContext(ssl.SSLContext):
    """Begins each connection in the context of the newest certificates.

    A context of its own for each of them, since one that has loaded a certificate or an authority never lets go of it,
    nor of the sessions that clients may resume.
    """

    def follow(self, certificates: Certificates, protocol: str) -> None:
        self._certificates = certificates
        self._protocol = protocol
        self._said = ""
        self._newest = _context(certificates, protocol)
        self._file = FollowedFile(certificates.file) if certificates.file else None
        if self._file:
            self._file.retry(soon=True)  # it was read a while ago

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Called by event loops for each connection that is accepted."""
        if self._file and self._file.changed():
            self._read_again(self._file)
        return self._newest.wrap_bio(*args, **kwargs)

    def _read_again(self, file: FollowedFile) -> None:
        option = self._certificates.option
        try:
            certificates = read_ssl_config(file.path, option)
            if certificates == self._certificates:
                return
            self._newest = _context(certificates, self._protocol)
        except (UserError, OSError) as error:
            if str(error) != self._said:
                _log.error("%s. New connections have the certificate from before.", str(error).rstrip("."))
            file.retry(soon=str(error) != self._said)
            self._said = str(error)
            return
        self._certificates, self._said = certificates, ""
        certificate = _first(certificates.certificate, option)
        _log.info("%s %s: renewed, valid until %s", option, file.path, f"{certificate.not_valid_after_utc:%Y-%m-%d}")


def _context(certificates: Certificates, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols([protocol])
    with tempfile.NamedTemporaryFile() as file:  # readable by this user only; ssl reads keys from files alone
        file.write(certificates.key + b"\n" + certificates.certificate)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise UserError(f"The server's certificate is not good for TLS ({error.reason}). Make another") from None
    if certificates.authorities:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=certificates.authorities.decode("ascii", "replace"))
    return context


def _check(certificates: Certificates, key_name: str, certificate_name: str, authorities_name: str) -> None:
    try:
        key: Any = serialization.load_pem_private_key(certificates.key, password=None)
    except TypeError:
        raise UserError(f"{key_name} has a password. Take it off: openssl pkey -in KEY -out NEW_KEY") from None
    except ValueError:
        raise UserError(f"{key_name} {_no_pem('key', 'PRIVATE KEY')}") from None
    certificate = _first(certificates.certificate, certificate_name)
    if certificate.public_key() != key.public_key():
        raise UserError(f"{certificate_name} was made for another key. Give the one that was made for server_key.")
    now = datetime.datetime.now(datetime.UTC)
    if now > certificate.not_valid_after_utc:
        raise UserError(f"{certificate_name} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}. Renew it")
    if now < certificate.not_valid_before_utc:
        raise UserError(
            f"{certificate_name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, and it is "
            f"{now:%Y-%m-%d %H:%M}. Set this machine's clock, or wait"
        )
    if certificates.authorities:
        _first(certificates.authorities, authorities_name)


def _first(pem: bytes, name: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise UserError(f"{name} {_no_pem('certificate', 'CERTIFICATE')}") from None


def _no_pem(what: str, label: str) -> str:
    return f"holds no {what} in PEM. Put the text itself there (-----BEGIN {label}-----...), not a path."
