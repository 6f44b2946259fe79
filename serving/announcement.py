"""What a server says when clients are answered."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ready:
    """A server that answers.

    Args:
        grpc: gRPC's port.
        rest: REST's; 0: there is none.
        models: the version by model, where it is known.
        takes_text: whether the first of them takes texts alone.
        rest_tls: whether REST is encrypted.
    """

    grpc: int
    rest: int
    models: Mapping[str, int | None]
    takes_text: bool
    rest_tls: bool = False


def announce(ready: Ready, host: str, log: Path | None, sampling: float) -> None:
    """Prints what is served, where, and how to try it.

    Args:
        ready: the server.
        host: its address.
        log: folder of the request log, or None.
        sampling: share of the requests that is logged.
    """
    from rich.console import Console
    from rich.table import Table

    shown = f"[{host}]" if ":" in host else host
    table = Table()
    table.add_column("model")
    table.add_column("version", justify="right")
    for name, version in ready.models.items():
        table.add_row(name, "?" if version is None else str(version))
    console = Console()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    say(f"Serving on {shown}:{ready.grpc}")
    if ready.models:
        console.print(table)
    say(f"Request log: {f'{log} ({sampling:.0%} of requests)' if log else 'off'}")
    if ready.rest:
        root = f"{'https' if ready.rest_tls else 'http'}://{shown}:{ready.rest}/"
        say(f"REST: {root}v1/models, with a page to try it at {root}")
    if ready.models:
        say("Try it:")
        what = "TEXT_OR_FILE" if ready.takes_text else "FILE"
        say(f"  unroll predict {next(iter(ready.models))} --input {what} --server {shown}:{ready.grpc}")
    sys.stdout.flush()
