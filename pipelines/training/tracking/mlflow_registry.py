"""The registry of any tracking server or database, through MLflow's own client."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


class MlflowRegistry:
    """What `SqliteRegistry` answers of a database that it knows.

    Args:
        client: connected.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def models(self) -> "Iterator[RegisteredModel]":
        """All registered models."""
        token: str | None = None
        while True:
            page = self._client.search_registered_models(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def versions(self, name: str) -> "list[ModelVersion]":
        """The versions of a model, the newest first."""
        return list(self._client.search_model_versions(f'name = "{name}"'))

    def files(self, name: str, version: int) -> str:
        """The URI of a version's files."""
        uri = self._client.get_model_version_download_uri(name, str(version))
        if uri.startswith("models:/"):
            return self._client.get_logged_model(uri.removeprefix("models:/")).artifact_location
        return uri

    def point(self, name: str, alias: str, version: int, tags: Mapping[str, str]) -> None:
        """Moves an alias to a version, and sets tags of the model."""
        self._client.set_registered_model_alias(name, alias, str(version))
        for key, value in tags.items():
            self._client.set_registered_model_tag(name, key, value)
