"""An MLflow model registry: what `models:/NAME@ALIAS` and `models:/NAME/VERSION` mean now, and the files behind it. The only import of MLflow.

Source: MLflow's documentation of the model registry (URIs, aliases) and of the `MLmodel` file (flavours).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from runtime.repository import MODEL_FILE, NAME
from runtime.tools.errors import ToolError

_URI: Final = re.compile(r"models:/(?P<model>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[1-9][0-9]{0,17}))")
_NOT_OF_THE_MODEL: Final = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta"}
"""What MLflow puts beside a model."""

_CONVERTED: Final = {"sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data"}
"""Flavours that can be converted, and the member of `MLmodel` that names the file."""

_SUFFIXES: Final = {".lgb": ".txt", ".xgb": ".ubj"}
"""What MLflow calls files that their libraries call otherwise."""

_URI_VARIABLES: Final = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
_DEFAULTS: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""MLflow's own would wait for minutes for a registry that is down, and tell its makers what is used."""


class UnusableError(ToolError):
    """A version was had, and cannot be used; it never will be, for versions are not written again."""


class Reference(NamedTuple):
    """A version of a registered model, by its alias or by its number."""

    uri: str
    model: str
    alias: str
    number: int
    """0 where the alias says it."""


def reference_of(uri: str) -> Reference:
    """Read a URI. Raises `ToolError`."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ToolError(f"expected models:/NAME@ALIAS or models:/NAME/VERSION, found {uri}")
    if not NAME.fullmatch(match["model"]):
        raise ToolError(f"{uri}: the name cannot be part of a path: expected letters, digits, and _ . - among them")
    return Reference(uri, match["model"], match["alias"] or "", int(match["version"] or 0))


class Registry:
    """A registry, by its URI; without one, as MLflow's environment says (`MLFLOW_REGISTRY_URI`, `MLFLOW_TRACKING_URI`)."""

    def __init__(self, uri: str = "") -> None:
        """Raises `ToolError` where MLflow is not installed, or nothing says which registry."""
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            self._mlflow: Any = import_module("mlflow")
        except ModuleNotFoundError as error:
            raise ToolError(f"a registry needs the package {error.name}; install it with: pip install 'driftline[mlflow]'") from None
        if not uri and not any(os.environ.get(name) for name in _URI_VARIABLES):  # MLflow would make an empty one in this directory
            raise ToolError(f"expected the URI of a registry: --registry, or one of {' and '.join(_URI_VARIABLES)} in the environment")
        if uri:  # for the whole process: what downloads asks no client
            self._mlflow.set_tracking_uri(uri)
            self._mlflow.set_registry_uri(uri)
        self._client = self._mlflow.MlflowClient()

    def number(self, reference: Reference) -> int:
        """Return the version that a reference means now. Raises `ToolError`."""
        try:
            if reference.alias:
                return int(self._client.get_model_version_by_alias(reference.model, reference.alias).version)
            return int(self._client.get_model_version(reference.model, str(reference.number)).version)
        except Exception as error:  # noqa: BLE001 - MLflow's own, its store's and its transport's have no base in common
            raise ToolError(f"{reference.uri} cannot be resolved: {_one_line(error)}") from None

    def download(self, model: str, number: int, directory: Path) -> Path:
        """Bring the files of a version into `directory`; return where they lie. Raises `ToolError`."""
        uri = f"models:/{model}/{number}"
        try:
            artifacts = self._mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(directory))
        except Exception as error:  # noqa: BLE001 - likewise
            raise ToolError(f"{uri} cannot be downloaded: {_one_line(error)}") from None
        return Path(artifacts)


def onnx_of(artifacts: Path, uri: str) -> Path | None:
    """Return the ONNX file among the files of a version; None where it has no such flavour. Raises UnusableError."""
    data = _flavours(artifacts, uri).get("onnx", {}).get("data")
    return None if data is None else _inside(artifacts, str(data), uri)


def convertible_of(artifacts: Path, uri: str) -> Path:
    """Return the file of a flavour that `convert` takes, under the name that it takes it by. Raises UnusableError."""
    flavours = _flavours(artifacts, uri)
    for flavour, member in _CONVERTED.items():
        if flavour in flavours:
            file = _inside(artifacts, str(flavours[flavour].get(member, "")), uri)
            suffix = _SUFFIXES.get(file.suffix)
            return file if suffix is None else file.rename(file.with_suffix(suffix))
    raise UnusableError(f"{uri} has the flavours {', '.join(flavours)}: expected onnx, {', '.join(_CONVERTED)}")


def copy_onnx(file: Path, directory: Path) -> None:
    """Copy an ONNX file, and the files with weights that lie beside it. Raises OSError."""
    for beside in file.parent.iterdir():
        if beside.is_file() and beside != file and beside.name not in _NOT_OF_THE_MODEL:
            shutil.copyfile(beside, directory / beside.name)
    shutil.copyfile(file, directory / MODEL_FILE)


def flavours_of(artifacts: Path, uri: str) -> list[str]:
    """Return the names of the flavours that a version has. Raises UnusableError."""
    return list(_flavours(artifacts, uri))


def _flavours(artifacts: Path, uri: str) -> Mapping[str, Any]:
    try:
        flavours = yaml.safe_load((artifacts / "MLmodel").read_bytes())["flavors"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UnusableError(f"{uri} is no model of MLflow: its file MLmodel cannot be read ({_one_line(error)})") from None
    return {str(name): members or {} for name, members in flavours.items()}


def _inside(artifacts: Path, name: str, uri: str) -> Path:
    """Return a file that `MLmodel` names; it must lie among the others."""
    file = (artifacts / name).resolve()
    if not file.is_file() or not file.is_relative_to(artifacts.resolve()):
        raise UnusableError(f"{uri}: MLmodel names the file {name!r}, which is not there")
    return file


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
