"""The drift report on one version's requests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.actuals import Actuals, Unmatched
from unroll.monitoring.drift import Comparison, compare
from unroll.monitoring.features import Values
from unroll.monitoring.profile import ReferenceProfile
from unroll.monitoring.requests import Request, RequestLog, Skipped, Window
from unroll.monitoring.variables import concatenate, take
from unroll.monitoring.windows import MIN_RECORDS
from unroll.serving.versions.store import Store


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
        unmatched: records without what came true, which were left out; None where it was not given.
    """

    model: str
    version: int
    requests: int
    read: int
    skipped: Skipped
    first: datetime
    last: datetime
    comparison: Comparison
    unmatched: Unmatched | None = None

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
                "unmatched": asdict(self.unmatched) if self.unmatched else None,
                "records": comparison.records,
                "compared": comparison.compared,
                "from": self.first.isoformat(),
                "to": self.last.isoformat(),
            },
            "reference": {"records": comparison.reference_records, "runs": comparison.runs},
            "features": [asdict(feature) for feature in comparison.features],
        }


def drift_report(
    model: str,
    *,
    store: Path,
    requests: Path,
    window: Window,
    version: int | None = None,
    labels: Path | None = None,
    overrides: Sequence[str] = (),
) -> Report:
    """Compares a version's logged requests with that version's reference profile.

    Args:
        model: the model's name.
        store: the store of versions.
        requests: the directory of request logs.
        window: which requests.
        version: whose requests; by default the version, of those in the store, that answered the newest one.
        labels: a file of what came true; only requests whose whole horizon it reaches are compared.
        overrides: `data.key=value`, where that file is written otherwise than the training data.

    Raises:
        UserError: for an unknown model or version, an empty window, requests that cannot be compared, a
            version without a usable profile, or a file of labels that does not fit the model.
    """
    if overrides and not labels:
        raise UserError("--set: says how the file of --labels is written. Name one, or leave it out")
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
    actuals = profile.actuals(labels, overrides) if labels else None
    if labels and actuals is None:
        raise UserError(f"--labels: {model!r} answers nothing that labels are compared with so far. Leave it out.")
    read = [chosen[row] for row in profile.windows.needs([request.request_id for request in chosen])]
    values, keys = _measure(profile, log, read, actuals)
    if not keys:
        raise UserError(f"{log.directory}: {_nothing(profile, log.skipped, len(read), actuals)}")
    return Report(
        model=model,
        version=version,
        requests=len(chosen),
        read=len(read),
        skipped=log.skipped,
        first=_time(chosen[-1].time_ns),
        last=_time(chosen[0].time_ns),
        comparison=compare(profile, values, keys),
        unmatched=actuals.unmatched if actuals else None,
    )


def _measure(
    profile: ReferenceProfile, log: RequestLog, requests: list[Request], actuals: Actuals | None
) -> tuple[dict[str, Values], list[str]]:
    """The values of the requests' records with their keys, the newest first."""
    keys: list[str] = []
    times: list[int] = []
    parts = []
    for batch in log.read(requests, profile.inputs, profile.outputs, profile.optional_inputs):
        try:
            inputs, outputs, rows = batch.inputs, batch.outputs, np.arange(len(batch.keys))
            if actuals:
                inputs, outputs, rows = actuals.match(inputs, outputs)
            if len(rows):
                parts.append(profile.measure(inputs, outputs))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):  # dtypes, shapes that none takes
            log.skipped.tensors += batch.requests
            continue
        keys += [batch.keys[row] for row in rows]
        times += batch.times[rows].tolist()
    if not parts:
        return {}, []
    order = np.argsort(-np.array(times), kind="stable")
    values = {name: take(value, order) for name, value in concatenate(parts).items()}
    return values, [keys[row] for row in order]


def counted(count: int, what: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "request")
        '1 request'
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def _nothing(profile: ReferenceProfile, skipped: Skipped, read: int, actuals: Actuals | None) -> str:
    """Why none of the requests can be compared, and what to do."""
    if actuals and (actuals.unmatched.untimed or actuals.unmatched.unknown):
        return (
            f"{counted(read, 'request')} read, and none can be compared with {actuals.path}: "
            f"{counted(actuals.unmatched.untimed, 'record')} told no timestamp, of {actuals.unmatched.unknown} the "
            "file does not reach the end of the horizon. Send timestamps, give a later file, or widen --window."
        )
    needed = ", ".join([*profile.inputs, *profile.outputs])
    send = "Send Predict requests to the default signature"
    whole = f"{send}, without an output filter"
    move = "Move the log's files away, and `unroll serve` begins new ones"
    reasons = {
        "not Predict": (skipped.method, send),
        "of another signature": (skipped.signature, send),
        f"without one of the tensors {needed}": (skipped.tensors, whole),
        "damaged": (skipped.damaged, move),
    }
    unwritten = read - sum(count for count, _ in reasons.values())
    reasons["without a record in the log's .tfrecord files"] = (max(unwritten, 0), move)
    counts = ", ".join(f"{reason}: {count}" for reason, (count, _) in reasons.items() if count)
    _, remedy = max(reasons.values(), key=lambda reason: reason[0])
    lines = f"; lines of the log that cannot be read: {skipped.lines}" if skipped.lines else ""
    return f"{counted(read, 'request')} read, and none can be compared ({counts}{lines}). {remedy}."


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
        if log.skipped.lines:
            raise UserError(
                f"{log.directory}: the log is damaged ({counted(log.skipped.lines, 'line')} read, none of a request). "
                "Move the files away, and `unroll serve` begins new ones."
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
