"""The drift report on one version's requests."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errors import UserError
from monitoring.drift import MIN_RECORDS, Comparison, compare, sample
from monitoring.profile import ReferenceProfile
from monitoring.requests import RequestLog, Skipped, Window
from monitoring.variables import concatenate
from serving.store import Store


@dataclass(frozen=True)
class Report:
    """What was compared, and what came of it.

    Args:
        model: the model's name.
        version: the version whose requests and profile were compared.
        requests: how many requests are in the window.
        read: how many of them were read; of a large window a sample by hash of the request id.
        skipped: how many of those could not be compared, and why.
        first: time of the oldest request in the window.
        last: time of the newest.
        comparison: the outcome.
    """

    model: str
    version: int
    requests: int
    read: int
    skipped: Skipped
    first: datetime
    last: datetime
    comparison: Comparison

    @property
    def verdict(self) -> str:
        """`drift`, `no drift`, `not enough requests` or `not enough reference records`."""
        if self.comparison.p_value is not None:
            return "drift" if self.comparison.drift else "no drift"
        enough = self.comparison.records >= MIN_RECORDS
        return "not enough reference records" if enough else "not enough requests"

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        comparison = self.comparison
        return {
            "model": self.model,
            "version": self.version,
            "verdict": self.verdict,
            "drift": comparison.drift,
            "p_value": comparison.p_value,
            "level": comparison.level,
            "window": {
                "requests": self.requests,
                "read": self.read,
                "skipped": asdict(self.skipped),
                "records": comparison.records,
                "compared": comparison.compared,
                "from": self.first.isoformat(),
                "to": self.last.isoformat(),
            },
            "reference": {"records": comparison.reference_records},
            "features": [asdict(feature) for feature in comparison.features],
        }


def drift_report(model: str, *, store: Path, requests: Path, window: Window, version: int | None = None) -> Report:
    """Compares a version's logged requests with that version's reference profile.

    Args:
        model: the model's name.
        store: the store of versions.
        requests: the directory of request logs.
        window: which requests.
        version: whose requests; by default the version, of those in the store, that answered the newest one.

    Raises:
        UserError: for an unknown model or version, an empty window, requests that cannot be compared, or a
            version without a usable profile.
    """
    log = RequestLog(requests / model)
    version = _version(model, store, requests, log, version)
    profile = ReferenceProfile.load(Store(store).path(model, version))
    chosen = log.select(window, version)
    if not chosen:
        newest = _time(log.newest()[version].time_ns)
        raise UserError(
            f"--window: version {version} of {model!r} answered no logged request in it; the newest is from "
            f"{newest:%Y-%m-%d %H:%M} UTC. Widen the window, or count requests: --window 1000."
        )
    # More than half the reference's records cannot be compared, so more requests need not be read.
    enough = max(profile.records // 2, MIN_RECORDS)
    read = [chosen[row] for row in sample([request.request_id for request in chosen], enough)]
    keys: list[str] = []
    batches = []
    for batch in log.read(read, profile.inputs, profile.outputs):
        keys += batch.keys
        batches.append(profile.measure(batch.inputs, batch.outputs))
    if not batches:
        needed = ", ".join([*profile.inputs, *profile.outputs])
        raise UserError(
            f"{log.directory}: none of the {len(read)} requests that were read can be compared "
            f"(not Predict: {log.skipped.method}, damaged: {log.skipped.damaged}, without one of the tensors "
            f"{needed}: {log.skipped.tensors}). Send Predict requests to the default signature."
        )
    return Report(
        model=model,
        version=version,
        requests=len(chosen),
        read=len(read),
        skipped=log.skipped,
        first=_time(chosen[-1].time_ns),
        last=_time(chosen[0].time_ns),
        comparison=compare(profile, concatenate(batches), keys),
    )


def _version(model: str, store: Path, requests: Path, log: RequestLog, version: int | None) -> int:
    """The version to report on: it has requests in the log, and a directory in the store."""
    newest = log.newest()
    if not newest:
        known = Store(store).models()
        if model not in known:
            raise UserError(
                f"{store}: no model {model!r}. Models there: {', '.join(known) or 'none'}. Name one of them, "
                "or another --store or --home."
            )
        raise UserError(
            f"{log.directory}: no requests of {model!r} are logged yet. Start `unroll serve`, send it some "
            "requests, and ask again; or name the folder it logs to with --requests."
        )
    held = Store(store).versions(model)
    if version is None:
        # After a rollback the newest request is one that the withdrawn version answered.
        there = [request for request in newest.values() if request.version in held]
        version = max(there or newest.values()).version
    if version not in newest:
        raise UserError(
            f"--version: {log.directory} holds no request that version {version} answered. "
            f"Versions there: {', '.join(map(str, sorted(newest)))}."
        )
    if version not in held:
        raise UserError(
            f"{store}: no version {version} of {model!r}, so no reference profile of it. Versions there: "
            f"{', '.join(map(str, held)) or 'none'}. If it was withdrawn, `unroll promote {model} {version}` serves "
            "it again."
        )
    return version


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)
