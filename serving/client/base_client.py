"""How a client asks, step by step, without a connection: what `Client` and `AsyncClient` share.

Each operation is a generator. It yields what is to be sent, and is given the answer, or yields seconds to wait; what it
returns is the operation's result. Its client only moves bytes, in its own way.
"""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import grpc
from numpy.typing import ArrayLike

from unroll.errors import UserError
from unroll.serving.client import connection
from unroll.serving.client.operation import Operation, Request
from unroll.serving.client.typed_methods import TypedMethods
from unroll.serving.protocol import arguments, messages, model_spec, protos, text_protos
from unroll.serving.protocol.messages import Classes, Example, Prediction, ServingError, SignatureInfo

_FIRST_WAIT, _MAX_WAIT, _ATTEMPTS = 0.05, 1.0, 5
_MIN_SECONDS = 0.001
_NO_VERSION, _NO_MODEL = "Servable not found", "Could not find any versions"
_NO_SIGNATURE = ("Serving signature key", "No signature was found")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class BaseClient(TypedMethods):
    """Asks one model on one server, through the connection that a subclass brings.

    Args:
        address: `host:port` of the server's gRPC port, or `unix:/path`.
        model: the model's name.
        timeout: seconds that a call may take, retries and what has to be asked before included.
        label: asks for the version with this label, such as `stable`, unless a call names a version or label itself.
        token: for a server with a token file.
        tls: encrypts, and trusts the authorities that gRPC trusts.
        root_certificates: PEM file of the authorities to trust instead; implies `tls`.
        client_certificate: PEM file of the client's certificate, for a server that asks for one; implies `tls`.
        client_key: PEM file of its private key.
        max_message_bytes: of one request or answer. The server has a limit of its own.

    Raises:
        UserError: an argument is not valid, or a PEM file cannot be read or used.
    """

    names: ClassVar[connection.Names] = connection.PYTHON
    _transport: Any = None

    def __init__(
        self,
        address: str = "127.0.0.1:8500",
        *,
        model: str,
        timeout: float = 10.0,
        label: str | None = None,
        token: str | None = None,
        tls: bool = False,
        root_certificates: str | Path | None = None,
        client_certificate: str | Path | None = None,
        client_key: str | Path | None = None,
        max_message_bytes: int = 32 << 20,
    ) -> None:
        arguments.check_address(self.names.address, address)
        arguments.check_name(self.names.model, model)
        arguments.check_seconds("timeout", timeout, _MIN_SECONDS)
        arguments.check_flag("tls", tls)
        if label:
            arguments.check_name("label", label)
        if token is not None:
            arguments.check_token(self.names.token, token)
        for name, file in (
            (self.names.root_certificates, root_certificates),
            (self.names.client_certificate, client_certificate),
            (self.names.client_key, client_key),
        ):
            if file is not None:
                arguments.check_file(name, file)
        self.address = address
        self.model = model
        self.timeout = timeout
        self.label = label
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._certified = bool(client_certificate)
        self._methods: dict[str, Any] = {}
        self._signatures: dict[tuple[int | None, str | None], dict[str, SignatureInfo]] = {}
        self._options = connection.options(max_message_bytes)
        self._credentials: grpc.ChannelCredentials | None = None
        if tls or any((root_certificates, client_certificate, client_key)):
            self._credentials = connection.credentials(root_certificates, client_certificate, client_key, self.names)
        super().__init__()
        self._channel = self._open(address, self._options)

    def _open(self, address: str, options: tuple[tuple[str, Any], ...]) -> Any:
        if self._credentials:
            return self._transport.secure_channel(address, self._credentials, options=options)
        return self._transport.insecure_channel(address, options=options)

    def _open_aside(self, address: str) -> Any:
        """A channel to one of the addresses behind the server's name, which it is asked for by."""
        host = connection.host_of(self.address)
        return self._open(address, (*self._options, ("grpc.ssl_target_name_override", host)))

    def _method(self, path: str) -> Any:
        if path not in self._methods:
            self._methods[path] = self._channel.unary_unary(path)
        return self._methods[path]

    def _predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = "serving_default",
        version: int | None = None,
        label: str | None = None,
        request_id: str | None = None,
        deadline: float | None = None,
    ) -> Operation[Prediction]:
        deadline = deadline or time.monotonic() + self.timeout
        messages.check_inputs(inputs)
        request = self._request(protos.PredictRequest, signature, version, label)
        asked = (version, label)
        if inputs and signature not in self._signatures.get(asked, ()):
            self._signatures[asked] = yield from self._metadata_of(version, label, deadline)
        known = self._signatures.get(asked, {}).get(signature)
        messages.add_inputs(request, inputs, known.inputs if known else {})
        request_id = request_id or uuid.uuid4().hex
        try:
            response = yield from self._ask(
                f"{model_spec.PREDICTION}Predict", request, protos.PredictResponse, request_id, deadline
            )
        except ServingError as error:
            if error.code is grpc.StatusCode.INVALID_ARGUMENT:
                self._signatures.pop(asked, None)  # a new version may take other types
            raise
        return messages.prediction(response, request_id)

    def _classify(self, *asked: Any) -> Operation[list[Classes]]:
        response = yield from self._on_examples(
            "Classify", protos.ClassificationRequest, protos.ClassificationResponse, *asked
        )
        return messages.classes(response.result)

    def _regress(self, *asked: Any) -> Operation[list[float]]:
        response = yield from self._on_examples("Regress", protos.RegressionRequest, protos.RegressionResponse, *asked)
        return messages.values(response.result)

    def _on_examples(
        self,
        method: str,
        request_class: Any,
        response_class: Any,
        examples: Sequence[Example],
        signature: str,
        version: int | None,
        label: str | None,
        request_id: str | None,
    ) -> Operation[Any]:
        request = self._request(request_class, signature, version, label)
        messages.add_examples(request, examples)
        return self._ask(f"{model_spec.PREDICTION}{method}", request, response_class, request_id)

    def _multi_inference(
        self,
        examples: Sequence[Example],
        classify: Sequence[str],
        regress: Sequence[str],
        version: int | None,
        label: str | None,
        request_id: str | None,
    ) -> Operation[dict[str, list[Classes] | list[float]]]:
        for argument, names in (("classify", classify), ("regress", regress)):
            arguments.check_list(argument, names, "signatures' names")
        if not (*classify, *regress):
            raise UserError("classify and regress: both name no signature. Give one")
        request = protos.MultiInferenceRequest()
        for method, names in ((model_spec.CLASSIFY, classify), (model_spec.REGRESS, regress)):
            for name in names:
                task = request.tasks.add(method_name=method)
                self._specify(task.model_spec, name, version, label)
        messages.add_examples(request, examples)
        response = yield from self._ask(model_spec.MULTI_INFERENCE, request, protos.MultiInferenceResponse, request_id)
        results = response.results
        return {
            name: messages.classes(result.classification_result)
            if result.HasField("classification_result")
            else messages.values(result.regression_result)
            for name, result in zip((*classify, *regress), results, strict=True)
        }

    def _metadata_of(
        self, version: int | None = None, label: str | None = None, deadline: float | None = None
    ) -> Operation[dict[str, SignatureInfo]]:
        request = self._request(protos.GetModelMetadataRequest, "", version, label)
        request.metadata_field.append("signature_def")
        wanted = protos.GetModelMetadataResponse
        response = yield from self._ask(model_spec.METADATA, request, wanted, deadline=deadline)
        return messages.signatures(response)

    def _status(self, deadline: float | None = None) -> Operation[dict[int, str]]:
        request = protos.GetModelStatusRequest()
        messages.specify(request.model_spec, self.model)
        response = yield from self._ask(model_spec.STATUS, request, protos.GetModelStatusResponse, deadline=deadline)
        name_of = protos.ModelVersionStatus.State.Name
        return {entry.version: name_of(entry.state) for entry in response.model_version_status}

    def _reload_config(self, config: str) -> Operation[None]:
        arguments.check_text("config", config)
        request = protos.ReloadConfigRequest()
        request.config.CopyFrom(text_protos.parse(config, protos.ModelServerConfig, "config"))
        request_id = uuid.uuid4().hex
        response = yield from self._ask(model_spec.RELOAD, request, protos.ReloadConfigResponse, request_id)
        if response.status.error_code:
            raise ServingError(_CODES[response.status.error_code], response.status.error_message, request_id)

    def _wait_until_ready(self, timeout: float) -> Operation[None]:
        arguments.check_seconds("timeout", timeout, 0)
        deadline = time.monotonic() + timeout
        while True:
            try:
                states = yield from self._status()
                if "AVAILABLE" in states.values():
                    return
                error = ServingError(grpc.StatusCode.UNAVAILABLE, f"{self.model}: versions are {states}", "-")
            except ServingError as refused:
                error = refused
            if time.monotonic() >= deadline:
                raise error
            yield 0.1

    def _request(self, message_class: Any, signature: str, version: int | None, label: str | None) -> Any:
        request = message_class()
        self._specify(request.model_spec, signature, version, label)
        return request

    def _specify(self, spec: Any, signature: str, version: int | None, label: str | None) -> None:
        if version is not None and label is not None:
            raise UserError(f"version={version} and label={label!r}: either names the version. Give one of them")
        if signature:
            arguments.check_name("signature", signature)
        if version is not None:
            arguments.check_version(version)
        if label:
            arguments.check_name("label", label)
        messages.specify(spec, self.model, signature, version, self.label if label is None else label)

    def _ask(
        self,
        path: str,
        request: Any,
        response_class: Any,
        request_id: str | None = None,
        deadline: float | None = None,
    ) -> Operation[Any]:
        if request_id:
            arguments.check_request_id(request_id)
        request_id = request_id or uuid.uuid4().hex
        message = request.SerializeToString()
        metadata = (("x-request-id", request_id), *self._metadata)
        deadline = deadline or time.monotonic() + self.timeout
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = yield Request(path, message, max(deadline - time.monotonic(), _MIN_SECONDS), metadata)
                return response_class.FromString(answer)
            except grpc.RpcError as error:
                refusal: Any = error
            wait = min(_FIRST_WAIT * 2**attempt, _MAX_WAIT) * random.uniform(0.5, 1.0)
            late = attempt == _ATTEMPTS or time.monotonic() + wait >= deadline
            if late or refusal.code() is not grpc.StatusCode.UNAVAILABLE:
                if connection.nobody_answers(refusal):
                    refusal = yield from self._told_by_each_address(refusal, deadline)
                said = connection.explained(
                    refusal,
                    self.address,
                    self.timeout,
                    self.names,
                    secure=self._credentials is not None,
                    certified=self._certified,
                    token=bool(self._metadata),
                )
                said = yield from self._with_what_there_is(path, message, said, deadline)
                raise ServingError(refusal.code(), said, request_id) from None
            yield wait
        raise AssertionError("unreachable")

    def _told_by_each_address(self, refusal: Any, deadline: float) -> Operation[Any]:
        """The most telling of the failures to connect to the addresses behind the server's name."""
        for address in connection.addresses(self.address):
            seconds = max(deadline - time.monotonic(), 0.1)
            try:
                yield Request(model_spec.STATUS, b"", seconds, (), address)
            except grpc.RpcError as error:
                one: Any = error
                if one.code() is grpc.StatusCode.UNAVAILABLE and not connection.nobody_answers(one):
                    return one
        return refusal

    def _with_what_there_is(self, path: str, message: bytes, said: str, deadline: float) -> Operation[str]:
        """A refusal's text; and after that of a missing version or signature those that the server has."""
        try:
            if path != model_spec.STATUS and said.startswith(_NO_VERSION):
                states = yield from self._status(deadline)
                there = ", ".join(f"version {number} {state}" for number, state in states.items())
                return f"{said}. The server has {there}"
            if path in model_spec.INFERENCE and said.startswith(_NO_SIGNATURE):
                asked = model_spec.asked(path, message)[0][0]
                version = asked.version.value if asked.HasField("version") else None
                signatures = yield from self._metadata_of(version, asked.version_label or None, deadline)
                return f"{said.removesuffix('.')}. The model has {', '.join(signatures)}"
        except ServingError as error:
            if error.message.startswith(_NO_MODEL):
                return f"{said}. The server has no model of this name: check it, or have the model served"
        return said
