"""An exported model: its answers, in this process."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from unroll.errors import UserError
from unroll.serving.engine.inputs import predict_feeds
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.protocol.model_spec import DEFAULT_SIGNATURE
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions import warmup
from unroll.workspace import write_atomically


class Exported:
    """A SavedModel directory, answering in this process as a server would.

    Args:
        directory: the SavedModel.
    """

    def __init__(self, directory: Path):
        self.directory = directory

    @cached_property
    def engine(self) -> SessionEngine:
        """What runs the graph, loaded at its first use."""
        try:
            return SessionEngine(self.directory, Parallelism(intra_op=0, inter_op=0))
        except LoadError as error:
            raise UserError(f"{self.directory}: cannot be loaded ({error}). {error.remedy}") from None

    def signature(self, name: str = DEFAULT_SIGNATURE) -> Signature:
        """Inputs and outputs of a function of the graph.

        Raises:
            KeyError: the model does not have it.
        """
        return self.engine.signatures[name]

    def answers_rows(self) -> bool:
        """Whether it has a `serving_default` that gives a row for each row."""
        return DEFAULT_SIGNATURE in self.engine.signatures and self.signature().batchable

    def example(self, rows: int) -> dict[str, np.ndarray]:
        """The inputs that must be sent to `serving_default`, of the first warmup request; none if there is none.

        Args:
            rows: at most.
        """
        for signature, feeds in warmup.runs(self.engine, self.directory):
            if signature.name == DEFAULT_SIGNATURE:
                sent = zip(signature.inputs, feeds, strict=True)
                return {name: feed[:rows] for name, feed in sent if name not in signature.defaults}
        return {}

    def predict(self, inputs: Mapping[str, np.ndarray], signature: str = DEFAULT_SIGNATURE) -> dict[str, np.ndarray]:
        """Outputs of a signature by name, from its inputs; others are ignored, and optional ones may be left out.

        Raises:
            UserError: the model refuses the inputs.
        """
        definition = self.signature(signature)
        given = {name: inputs[name] for name in definition.inputs if name in inputs}
        try:
            answers = self.engine.run(signature, predict_feeds(definition, given, decode=lambda array: array))
        except StatusError as error:
            raise UserError(f"{self.directory}: the model refuses the data. {error.message}") from None
        return dict(zip(definition.outputs, answers, strict=True))

    def add(self, files: Mapping[str, bytes]) -> None:
        """Writes files under `assets.extra/`."""
        for name, content in files.items():
            write_atomically(self.directory / "assets.extra" / name, content)
