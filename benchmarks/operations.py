"""What an operator does to a running server: new versions, damaged ones, other configurations."""

import itertools
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc

from unroll.serving import Store
from unroll.serving.protocol import protos

_AVAILABLE = 30  # ModelVersionStatus.State
_KEPT = 3  # versions of a model in the store: the one served, perhaps a damaged one, the new one


class Operator(threading.Thread):
    """Puts versions and reloads the configuration until told to stop; `problems` says what did not work."""

    def __init__(self, store: Store, exports: dict[str, Path], channel: grpc.Channel, every: float, reload: bool):
        super().__init__(daemon=True)
        self._store = store
        self._exports = exports
        self._channel = channel
        self._every = every
        self._reload = reload
        self._stopping = threading.Event()
        self._extra = False
        self.problems: list[str] = []
        self.done = {"versions": 0, "damaged": 0, "reloads": 0}

    def run(self) -> None:
        for number in itertools.count(1):
            if self._stopping.wait(self._every):
                return
            if number % 5 == 0:
                self.put_damaged(number)
            else:
                self.put_version(list(self._exports)[number % len(self._exports)])
            if self._reload and number % 2 == 0:
                self.reload(extra=not self._extra)

    def stop(self) -> None:
        """Returns when what is under way is done; the configuration is the first again."""
        self._stopping.set()
        self.join()
        if self._extra:
            self.reload(extra=False)

    def put_version(self, model: str) -> None:
        version = self._store.versions(model)[-1] + 1
        self._store.put(model, version, self._exports[model])
        self.done["versions"] += 1
        self._wait_available(model, version)
        self._prune(model)

    def put_damaged(self, number: int) -> None:
        """Half a graph, or half the weights."""
        model = list(self._exports)[number // 5 % len(self._exports)]
        with tempfile.TemporaryDirectory() as folder:
            damaged = Path(folder) / "damaged"
            shutil.copytree(self._exports[model], damaged)
            weights = next((damaged / "variables").glob("*.data-*"))
            file = damaged / "saved_model.pb" if number // 5 % 2 else weights
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            self._store.put(model, self._store.versions(model)[-1] + 1, damaged)
        self.done["damaged"] += 1
        self._prune(model)

    def reload(self, extra: bool) -> None:
        """Asks for the models of the store, and perhaps for one more."""
        request = protos.ReloadConfigRequest()
        roots = {model: model for model in self._exports} | ({"extra": next(iter(self._exports))} if extra else {})
        for name, model in roots.items():
            config = request.config.model_config_list.config.add()
            config.name, config.base_path = name, str((self._store.root / model).resolve())
            config.model_platform = "tensorflow"
        try:
            answer = protos.ReloadConfigResponse.FromString(self._ask("HandleReloadConfigRequest", request))
            if answer.status.error_code:
                self.problems.append(f"reload: {answer.status.error_message}")
        except grpc.RpcError as error:
            self.problems.append(f"reload: {error.code().name} {error.details()}")  # type: ignore[attr-defined]
        self._extra = extra
        self.done["reloads"] += 1
        for name in roots:
            self._wait_available(name)

    def _wait_available(self, model: str, version: int | None = None) -> None:
        """Waits for a version, or for any."""
        request = protos.GetModelStatusRequest()
        request.model_spec.name = model
        deadline = time.monotonic() + 45
        seen = "no answer"
        while time.monotonic() < deadline:
            try:
                answer = protos.GetModelStatusResponse.FromString(self._ask("GetModelStatus", request))
                states = {status.version: status.state for status in answer.model_version_status}
                if any(state == _AVAILABLE and version in (None, number) for number, state in states.items()):
                    return
                seen = str(states)
            except grpc.RpcError as error:
                seen = f"{error.code().name} {error.details()}"  # type: ignore[attr-defined]
            time.sleep(0.2)
        self.problems.append(f"{model} {version or ''} is not AVAILABLE after 45 s: {seen}")

    def _ask(self, method: str, request: Any) -> bytes:
        call = self._channel.unary_unary(f"/tensorflow.serving.ModelService/{method}")
        return call(request.SerializeToString(), timeout=60)

    def _prune(self, model: str) -> None:
        for version in self._store.versions(model)[:-_KEPT]:
            gone = self._store.root / f".gone-{model}-{version}"
            self._store.path(model, version).rename(gone)
            shutil.rmtree(gone)
