"""What a server says when clients are answered."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_MAX_REQUEST = 200  # characters, on a command line


@dataclass(frozen=True)
class Endpoint:
    """Where one protocol is answered.

    Args:
        port: 0: nowhere.
        tls: whether it is encrypted.
        certificates: whether clients must show a certificate.
    """

    port: int
    tls: bool = False
    certificates: bool = False


@dataclass(frozen=True)
class Ready:
    """A server that answers.

    Args:
        grpc: where gRPC is answered.
        rest: where REST is.
        models: by name the versions that answer, each with its labels; none where another server has them.
        tokens: whether clients must have a token.
        input: what `unroll predict` can send the first model, as its help has it, or empty.
        request: what can be sent to REST's `:predict` of the first model, JSON, or empty.
    """

    grpc: Endpoint
    rest: Endpoint
    models: Mapping[str, Mapping[int, Sequence[str]]]
    tokens: bool = False
    input: str = ""
    request: str = ""


def announce(ready: Ready, host: str, log: Path | None, sampling: float) -> None:
    """Prints what is served, where, to whom, and how to try it.

    Args:
        ready: the server.
        host: its address.
        log: folder of the request log, or None.
        sampling: share of the requests that is logged.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = f"[{host}]" if ":" in host else host
    table = Table("model", "versions")
    for name, versions in ready.models.items():
        table.add_row(Text(name), Text(", ".join(map(_version, versions.items())) or "?"))
    console = Console()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    say(f"Serving on {shown}:{ready.grpc.port}")
    if ready.models:
        console.print(table)
    say(f"TLS: {', '.join(_encrypted(ready)) or 'off'}; tokens: {'on' if ready.tokens else 'off'}")
    say(f"Request log: {f'{log} ({sampling:.0%} of requests)' if log else 'off'}")
    root = f"{'https' if ready.rest.tls else 'http'}://{shown}:{ready.rest.port}/"
    model = f"{root}v1/models/{quote(next(iter(ready.models), ''), safe='')}"
    if ready.rest.port:
        say(f"REST: {model if ready.models else root}, with a page to try it at {root}")
    if ready.models and (command := _command(ready, f"{shown}:{ready.grpc.port}", model)):
        say(f"Try it:\n  {command}")
    sys.stdout.flush()


def _version(version: tuple[int, Sequence[str]]) -> str:
    number, labels = version
    return f"{number} ({', '.join(labels)})" if labels else str(number)


def _encrypted(ready: Ready) -> Iterator[str]:
    for name, endpoint in (("gRPC", ready.grpc), ("REST", ready.rest)):
        if endpoint.port and endpoint.tls:
            yield f"{name} with client certificates" if endpoint.certificates else name


def _command(ready: Ready, address: str, url: str) -> str:
    """Asks the first model, with placeholders for what the server does not know; empty where nothing can."""
    if ready.input:
        name = shlex.quote(next(iter(ready.models)))
        words = [f"unroll predict {name} --input {ready.input} --server {address}"]
        endpoint, token = ready.grpc, "--token-file FILE"
        authority, certificate = "--root-certificates PEM", "--client-certificate PEM --client-key PEM"
    elif ready.rest.port:
        fits = 0 < len(ready.request) <= _MAX_REQUEST
        words = [f"curl -d {shlex.quote(ready.request)} {url}:predict" if fits else f"curl {url}/metadata"]
        endpoint, token = ready.rest, '-H "Authorization: Bearer $TOKEN"'
        authority, certificate = "--cacert PEM", "--cert PEM --key PEM"
    else:
        return ""
    options = ((ready.tokens, token), (endpoint.tls, authority), (endpoint.certificates, certificate))
    return " ".join(words + [option for needed, option in options if needed])
