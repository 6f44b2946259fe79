"""Where the files of a workspace are, wherever the workspace is moved to or mounted.

The database names them as `mlflow-artifacts:/reviews/...`: files of whoever serves the database. MLflow's server
(`unroll ui`) finds them for its clients. Where the database is opened without a server, MLflow asks `repository`, which
the entry-point group `mlflow.artifact_repository` names: they are in the folder `artifacts` beside the database.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from unroll.pipelines.training.tracking.database import database_file

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

ROOT = "mlflow-artifacts:/"


def folder(database: Path) -> Path:
    """Where a database's files are.

    Example:
        >>> folder(Path("workspace/mlflow.db"))
        PosixPath('workspace/artifacts')
    """
    return database.parent / "artifacts"


def local_path(uri: str, tracking_uri: str) -> Path | None:
    """The file or folder of this machine that an artifact's URI names; None where a server has it.

    Args:
        uri: of the artifact.
        tracking_uri: of the database or server that gave the URI.

    Example:
        >>> local_path("mlflow-artifacts:/reviews/models", "sqlite:////data/mlflow.db")
        PosixPath('/data/artifacts/reviews/models')
        >>> local_path("file:///home/me/reviews", "sqlite:////data/mlflow.db")
        PosixPath('/home/me/reviews')
        >>> local_path("mlflow-artifacts:/reviews/models", "http://tracking:5000") is None
        True
    """
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return Path(path)
    database = database_file(tracking_uri)
    if database is None or not uri.startswith(ROOT):
        return None
    return folder(database) / path.lstrip("/")


def repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "ArtifactRepository":
    """What MLflow reads and writes `mlflow-artifacts:` by.

    Args:
        artifact_uri: of the artifacts.
        tracking_uri: of the database or server; that which MLflow is set to for None.
        registry_uri: of the models' database or server.
    """
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow.tracking import get_tracking_uri

    tracking_uri = tracking_uri or get_tracking_uri()
    path = local_path(artifact_uri, tracking_uri)
    if path is None:
        return MlflowArtifactsRepository(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)
    return LocalArtifactRepository(path.absolute().as_uri(), tracking_uri=tracking_uri, registry_uri=registry_uri)
