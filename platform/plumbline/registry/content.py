"""Brings the files of a logged model to this machine."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from plumbline import paths
from plumbline.errors import DependencyError, MissingInputError
from plumbline.registry.digest import folder_digest
from plumbline.settings import Settings

MODEL_FOLDER = "posting_model"
"""Name of the PostingModel artefact inside the logged model's `artifacts` folder."""

REFERENCE_FILE = "reference.parquet"
"""Name of the monitors' reference, beside the model."""

CARD_FILE = "model_card.md"
"""Name of the model card, beside the model."""

REGISTER = "`plumbline pipeline run training` registers versions that can be served."


def local_content(settings: Settings, uri: str, digest: str | None = None) -> Path:
    """The `artifacts` folder of a logged model.

    A local path is read in place. Anything else is downloaded once, and again when what lies here does not have
    the digest.

    Args:
        settings: Where downloads go.
        uri: Address of the logged model.
        digest: Digest that the folder should have, where it is known.

    Raises:
        MissingInputError: The address holds no model.
        DependencyError: The artefact store does not answer.
    """
    parsed = urlparse(uri)
    if parsed.scheme in ("", "file"):
        content = Path(unquote(parsed.path)) / "artifacts"
    else:
        folder = paths.tracking_dir(settings) / "downloads" / hashlib.sha256(uri.encode()).hexdigest()[:16]
        content = folder / "artifacts"
        if digest is None or not content.is_dir() or folder_digest(content) != digest:
            _download(uri, folder)
    if not (content / MODEL_FOLDER).is_dir():
        if content.parent.is_dir() and any(content.parent.iterdir()):
            raise MissingInputError(
                f"{content.parent} holds no artifacts/{MODEL_FOLDER}, or no longer: serving loads that and nothing "
                f"else, a pickled model least of all. {REGISTER}"
            )
        raise MissingInputError(f"{content} holds no {MODEL_FOLDER}: the model's files are gone. Train it again.")
    return content


def _download(uri: str, folder: Path) -> None:
    """Downloads beside the target and renames: a killed download leaves nothing that looks whole."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        try:
            got = Path(download_artifacts(artifact_uri=uri, dst_path=incoming))
        except (MlflowException, OSError) as error:
            raise DependencyError(f"The model's files cannot be brought from {uri}: {error}") from error
        shutil.rmtree(folder, ignore_errors=True)
        got.rename(folder)
