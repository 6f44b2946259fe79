"""The reference profile: what the held-out data, and the model's answers on it, look like."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.monitoring import features as feature_kinds
from unroll.monitoring.actuals import Actuals
from unroll.monitoring.features import Feature, Values
from unroll.monitoring.features.tokens import TokenSets
from unroll.monitoring.variables import Categorical, Magnitude, Numeric, Tokens, Variable, fit
from unroll.monitoring.windows import Clustered, Consecutive, Independent
from unroll.serving.files import regular_files

FORMAT = 1
MAX_RECORDS = 20_000
JSON_NAME = "reference_profile.json"
NPZ_NAME = "reference_profile.npz"
DIGEST = "sha256"  # key of the document
CLUSTERS = "records/cluster"  # array of the .npz, beside those named after variables

_NUMBERS = {kind.kind: kind for kind in (Numeric, Magnitude)}
_VARIABLES: dict[str, type[Variable]] = {kind.kind: kind for kind in (Numeric, Magnitude, Categorical, Tokens)}


@dataclass(frozen=True, eq=False)
class ReferenceProfile:
    """Frozen bins and, for each reference record, which bin, category and tokens it fell into.

    Records rather than only totals are kept so that clean windows of any size can be drawn from them; they
    hold no text, only which of the reference's most frequent tokens occur in it.

    Args:
        model: the model's name.
        features: how values are derived from inputs and outputs.
        variables: what is tested, by name.
        codes: each variable's encoded reference records, row i of each belongs to the same record.
        summaries: each variable's summary of the reference, for people.
        vocabulary: token to id, of the text that the model reads.
        clusters: the number of each record's cluster, from 0, uint16 `(records,)`; None where each is one.
    """

    model: str
    features: tuple[Feature, ...]
    variables: Mapping[str, Variable]
    codes: Mapping[str, np.ndarray]
    summaries: Mapping[str, dict[str, Any]]
    vocabulary: Mapping[str, int]
    clusters: np.ndarray | None = None

    @classmethod
    def build(
        cls,
        features: Sequence[Feature],
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        *,
        model: str,
        vocabulary: Sequence[str] = (),
        clusters: Sequence[str] = (),
    ) -> "ReferenceProfile":
        """Summarises held-out records, of which at most `MAX_RECORDS`, evenly drawn, are kept.

        Args:
            features: what to watch.
            inputs: by tensor name, arrays of n rows; texts are str or UTF-8 bytes. For a `SeriesFeature` they
                also hold `actual`, what came true, and either `timestamp` or rows in the order of time.
            outputs: the model's own answers to them, by tensor name, arrays of n rows.
            model: the model's name.
            vocabulary: the tokens the model knows, as the version's vocabulary file lists them.
            clusters: n names of what records belong together (a patient, a video), empty for a cluster of its own;
                none where records are independent. Only numbers are kept. A `SeriesFeature` has no use for them.

        Raises:
            ValueError: where the arrays are empty or differ in their number of rows.

        Example:
            >>> from unroll.monitoring.features.values import NumericFeature
            >>> scores = {"score": np.random.default_rng(0).random(100)}
            >>> profile = ReferenceProfile.build([NumericFeature("score")], {}, scores, model="m")
            >>> sorted(profile.files())
            ['reference_profile.json', 'reference_profile.npz']
        """
        rows = {name: len(array) for name, array in [*inputs.items(), *outputs.items()]}
        rows |= {"clusters": len(clusters)} if len(clusters) else {}
        if len(set(rows.values())) != 1 or 0 in rows.values():
            raise ValueError(f"Inputs and outputs must have the same number of rows, at least 1. Received: {rows}")
        n = next(iter(rows.values()))
        keep = _kept(features, inputs, n)
        ids = {token: i for i, token in enumerate(vocabulary)}
        kept_inputs = {name: np.asarray(array)[keep] for name, array in inputs.items()}
        kept_outputs = {name: np.asarray(array)[keep] for name, array in outputs.items()}
        values: dict[str, Values] = {}
        variables: dict[str, Variable] = {}
        for feature in features:
            measured = feature.measure(kept_inputs, kept_outputs, ids)
            known = ids if feature.vocabulary is None else feature.vocabulary
            values |= measured
            variables |= {name: fit(value, known, _NUMBERS[feature.number]) for name, value in measured.items()}
        return cls(
            model,
            tuple(features),
            variables,
            {name: variable.encode(values[name]) for name, variable in variables.items()},  # type: ignore[arg-type]
            {name: variable.summary(values[name]) for name, variable in variables.items()},  # type: ignore[arg-type]
            ids,
            _numbered([clusters[row] for row in keep]) if len(clusters) and _shared_steps(features) is None else None,
        )

    @property
    def records(self) -> int:
        return len(next(iter(self.codes.values())))

    @property
    def inputs(self) -> list[str]:
        """Names of the input tensors that the features need."""
        return [name for feature in self.features for name in feature.inputs]

    @property
    def optional_inputs(self) -> list[str]:
        """Names of the input tensors that they can do without."""
        return [name for feature in self.features for name in feature.optional_inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the output tensors that the features need."""
        return [name for feature in self.features for name in feature.outputs]

    @cached_property
    def windows(self) -> Independent:
        """How clean windows are drawn from the reference."""
        if (steps := _shared_steps(self.features)) is not None:
            return Consecutive(self.records, steps)
        return Independent(self.records) if self.clusters is None else Clustered(self.records, self.clusters)

    def actuals(self, labels: Path, overrides: Sequence[str] = ()) -> Actuals | None:
        """What came true, from a file that arrives later; None where no feature has a use for it.

        Args:
            labels: the file.
            overrides: `data.key=value`, where it is written otherwise than the training data.

        Raises:
            UserError: a file that does not fit the model.
        """
        return next((found for feature in self.features if (found := feature.actuals(labels, overrides))), None)

    @cached_property
    def means(self) -> dict[str, np.ndarray]:
        """Each variable's mean indicator vector over the reference."""
        return {name: variable.indicators(self.codes[name]).mean(axis=0) for name, variable in self.variables.items()}

    def measure(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> dict[str, Values]:
        """The value of each variable for n records of live traffic, as `build` derived the reference's.

        Variables that need what came true are there only where `inputs` holds it.

        Raises:
            ValueError: tensors of shapes that a feature does not take.
        """
        values: dict[str, Values] = {}
        for feature in self.features:
            values |= feature.measure(inputs, outputs, self.vocabulary)
        return values

    def files(self) -> dict[str, bytes]:
        """The profile as the files that belong in a version's `assets.extra/`, by name."""
        document = {
            "format": FORMAT,
            "model": self.model,
            "records": self.records,
            "features": [feature_kinds.to_json(feature) for feature in self.features],
            "variables": {
                name: {"kind": variable.kind, "coding": asdict(variable), "reference": self.summaries[name]}
                for name, variable in self.variables.items()
            },
        }
        stream = io.BytesIO()
        clusters = {} if self.clusters is None else {CLUSTERS: self.clusters}
        np.savez_compressed(stream, allow_pickle=False, **self.codes, **clusters)  # type: ignore[arg-type]
        arrays = stream.getvalue()
        document = {**json.loads(json.dumps(document)), DIGEST: _digest(document, arrays)}
        return {JSON_NAME: json.dumps(document, indent=1, ensure_ascii=False).encode(), NPZ_NAME: arrays}

    @classmethod
    def load(cls, version_dir: Path) -> "ReferenceProfile":
        """Reads the profile of one exported version.

        Args:
            version_dir: `<store>/<model>/<version>`.

        Raises:
            UserError: where the version has no profile, a damaged one, or one of another format.
        """
        extra = version_dir / "assets.extra"
        try:
            document = json.loads(regular_files.read(extra / JSON_NAME))
            found = document["format"]
        except FileNotFoundError:
            raise UserError(
                f"{version_dir}: no assets.extra/{JSON_NAME}, so there is nothing to compare requests with. "
                "Train and export the version again with `unroll train`."
            ) from None
        except Exception as error:  # damage raises whatever the code that meets it raises
            raise _damaged(extra / JSON_NAME, error) from None
        if found != FORMAT:
            raise UserError(
                f"{extra / JSON_NAME}: format {found!r}, this version of unroll reads format {FORMAT}. "
                "Use the version of unroll that trained it, or train and export it again."
            )
        try:
            arrays = regular_files.read(extra / NPZ_NAME)
            digest = document.pop(DIGEST, None)  # those of older versions have none
            if digest is not None and digest != _digest(document, arrays):
                raise ValueError(f"it and {NPZ_NAME} are not as they were written")
            return cls._of(document, arrays, version_dir)
        except Exception as error:
            raise _damaged(extra / JSON_NAME, error) from None

    @classmethod
    def _of(cls, document: Mapping[str, Any], arrays: bytes, version_dir: Path) -> "ReferenceProfile":
        features = tuple(feature_kinds.from_json(feature) for feature in document["features"])
        with np.load(io.BytesIO(arrays), allow_pickle=False) as loaded:
            codes = {name: loaded[name] for name in document["variables"]}
            clusters = loaded.get(CLUSTERS)
        profile = cls(
            document["model"],
            features,
            {name: _variable(data) for name, data in document["variables"].items()},
            codes,
            {name: data["reference"] for name, data in document["variables"].items()},
            _vocabulary(version_dir, features),
            clusters,
        )
        lengths = {len(rows) for rows in (*codes.values(), *([] if clusters is None else [clusters]))}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"its variables have {sorted(lengths)} records")
        for name, variable in profile.variables.items():
            variable.statistic(profile.means[name], profile.means[name])
            _check_alike(variable.summary(_a_value(variable)), profile.summaries[name])
        return profile


def _shared_steps(features: Sequence[Feature]) -> int | None:
    return next((feature.shared_steps for feature in features if feature.shared_steps is not None), None)


def _kept(features: Sequence[Feature], inputs: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Rows of the records that are kept, in the order in which they are."""
    orders = (feature.in_order(inputs, n) for feature in features)
    if (order := next((one for one in orders if one is not None), None)) is not None:
        return order[np.linspace(0, n - 1, min(n, MAX_RECORDS)).astype(int)]
    # Shuffled, so that the files say nothing about the data's order.
    return np.random.default_rng(0).permutation(n)[:MAX_RECORDS]


def _numbered(names: Sequence[str]) -> np.ndarray | None:
    """Clusters as numbers, uint16, for each name in the order of first occurrence; None where none has two records."""
    numbers: dict[str | int, int] = {}
    clusters = [numbers.setdefault(name or row, len(numbers)) for row, name in enumerate(names)]
    return np.array(clusters, np.uint16) if len(numbers) < len(names) else None


def _variable(data: Mapping[str, Any]) -> Variable:
    fields = {name: tuple(value) for name, value in data["coding"].items()}
    return _VARIABLES[data["kind"]](**fields)


def _a_value(variable: Variable) -> Any:
    if isinstance(variable, Tokens):
        return TokenSets(np.empty(0, np.int32), np.zeros(1, np.int64))
    return np.array([""]) if isinstance(variable, Categorical) else np.zeros(1, np.float32)


def _check_alike(made: Any, read: Any) -> None:
    """Returns if what was read has the keys, and numbers where there are some, of what would be made."""
    if isinstance(made, dict):
        if not isinstance(read, dict) or made.keys() != read.keys():
            raise ValueError(f"a summary has {', '.join(read)}, not {', '.join(made)}")
        for key in made:
            _check_alike(made[key], read[key])
    elif isinstance(made, list):
        if not isinstance(read, list) or len(made) != len(read):
            raise ValueError(f"a summary has {len(read)} values, not {len(made)}")
        np.asarray(read, np.float64)
    elif read is not None and not isinstance(read, int | float):
        raise ValueError(f"a summary has {read!r} for a number")


def _vocabulary(version_dir: Path, features: Sequence[Feature]) -> dict[str, int]:
    for feature in features:
        if feature.vocabulary_file is not None:
            # Not splitlines: a token may hold a character that Unicode takes for a line's end.
            path = version_dir / feature.vocabulary_file
            if regular_files.leads_out(path, version_dir):
                raise ValueError(f"its vocabulary {path} is not the version's")
            text = regular_files.read(path).decode().removesuffix("\n")
            return {token: i for i, token in enumerate(text.split("\n"))}
    return {}


def _digest(document: Mapping[str, Any], arrays: bytes) -> str:
    """SHA-256 of both files, however the document is laid out."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode() + b"\n" + arrays).hexdigest()


def _damaged(path: Path, error: Exception) -> UserError:
    told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    reason = " ".join((told or type(error).__name__).split())
    return UserError(f"{path}: damaged ({reason}). Export the version again with `unroll train`.")
