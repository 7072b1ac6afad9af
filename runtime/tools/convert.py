"""Models of scikit-learn, XGBoost, LightGBM and PyTorch to ONNX, by their own converters; the result is held against the original.

    *.joblib, *.pkl          a fitted estimator or pipeline of scikit-learn, XGBoost or LightGBM
    *.json, *.ubj            XGBoost's `save_model`
    *.txt                    LightGBM's `save_model`
    *.pt2                    PyTorch's `torch.export.save`
    *.pt, *.pth              a whole PyTorch module, `torch.save(module)`; the shape of one row has to be given

Reading a pickle runs what it says (joblib, pickle, torch.save): convert files that you trust.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from runtime.session import Array
from runtime.tools.errors import ToolError

Columns: TypeAlias = Mapping[str, Array]
Reference: TypeAlias = Callable[[Sequence[Array]], list[Array]]

_INPUT: Final = "input"
_PIP: Final = {
    "joblib": "pip install 'driftline[convert]'",
    "skl2onnx": "pip install 'driftline[convert]'",
    "onnxmltools": "pip install 'driftline[convert]'",
    "xgboost": "pip install xgboost-cpu",
    "lightgbm": "pip install lightgbm",
    "torch": "pip install torch onnxscript",
    "onnxscript": "pip install onnxscript",
}


class Converted(NamedTuple):
    """A model in ONNX, and how to ask its original."""

    onnx: Any
    """An `onnx.ModelProto`."""
    reference: Reference
    """The original: takes the ONNX model's inputs, returns its outputs, both in its order."""


def convert(file: Path, *, row_shape: Sequence[int] = (), example: Columns | None = None) -> Converted:
    """Return the model in `file` as ONNX. Raises `ToolError`.

    `row_shape` is the shape of one row, without the axis of rows, of a PyTorch module. `example` are columns of a table; where some of them are
    texts, the ONNX model gets an input for each column.
    """
    if not file.is_file():
        raise ToolError(f"there is no file {file}")
    suffix = file.suffix.lower()
    reader = next((reader for suffixes, reader in _READERS.items() if suffix in suffixes), None)
    if reader is None:
        raise ToolError(
            f"{file} is of no known format: expected {', '.join(name for suffixes in _READERS for name in suffixes)} (driftline runtime convert --help)"
        )
    with _told(file):
        return reader(file, row_shape, example)


def same_ratio(ours: Sequence[Array], theirs: Sequence[Array], *, tolerance_ratio: float) -> float:
    """Return the share of rows in which all outputs are the same: labels equal, numbers within the tolerance of the largest magnitude."""
    same = np.ones(len(ours[0]), dtype=bool)
    for left, right in zip(ours, theirs, strict=True):
        if left.size != right.size:
            raise ToolError(f"an output of the converted model has the shape {list(left.shape)}, the original's {list(right.shape)}")
        same &= _same_rows(left.reshape(len(left), -1), right.reshape(len(left), -1), tolerance_ratio)
    return float(np.mean(same))


def _same_rows(left: Array, right: Array, tolerance_ratio: float) -> Array:
    if left.dtype.kind == "f" and right.dtype.kind in "fiu":
        largest = np.abs(right[np.isfinite(right)]).max(initial=0.0)
        return np.asarray(np.isclose(left, right, rtol=0, atol=tolerance_ratio * largest, equal_nan=True).all(axis=1))
    return np.asarray((left.astype(np.str_) == right.astype(np.str_)).all(axis=1))


def _from_pickle(file: Path, _row_shape: Sequence[int], example: Columns | None) -> Converted:
    estimator = _needed("joblib").load(file)
    package = type(estimator).__module__.partition(".")[0]
    if package == "xgboost":
        return _from_xgboost(estimator)
    if package == "lightgbm":
        return _from_lightgbm(estimator)
    if not hasattr(estimator, "get_params"):
        raise ToolError(
            f"{file} holds a {type(estimator).__module__}.{type(estimator).__qualname__}, which is no estimator of scikit-learn, XGBoost or LightGBM"
        )
    return _from_sklearn(estimator, example)


def _from_sklearn(estimator: Any, example: Columns | None) -> Converted:
    skl2onnx = _needed("skl2onnx")
    kinds = import_module("skl2onnx.common.data_types")
    by_column = example is not None and any(column.dtype.kind == "O" for column in example.values())
    inputs: list[tuple[str, Any]]
    if example is not None and by_column:
        inputs = [(name, (kinds.StringTensorType if column.dtype.kind == "O" else kinds.FloatTensorType)([None, 1])) for name, column in example.items()]
    else:
        inputs = [(_INPUT, kinds.FloatTensorType([None, _features(estimator)]))]
    is_classifier = import_module("sklearn.base").is_classifier(estimator)
    model = skl2onnx.to_onnx(estimator, initial_types=inputs, options={id(estimator): {"zipmap": False}} if is_classifier else None)
    return Converted(model, _table_reference(estimator, [name for name, _ in inputs]) if by_column else _estimator_reference(estimator))


def _features(estimator: Any) -> int:
    try:
        return int(estimator.n_features_in_)
    except AttributeError:
        raise ToolError(f"the {type(estimator).__qualname__} is not fitted, or does not know how many columns it takes") from None


def _estimator_reference(estimator: Any) -> Reference:
    return lambda inputs: _asked(estimator, inputs[0])


def _table_reference(estimator: Any, names: Sequence[str]) -> Reference:
    """An input per column: the original takes a table with their names."""
    table = import_module("pandas").DataFrame
    return lambda inputs: _asked(estimator, table({name: array.reshape(-1) for name, array in zip(names, inputs, strict=True)}))


def _asked(estimator: Any, rows: Any) -> list[Array]:
    methods = [name for name in ("predict", "predict_proba") if hasattr(estimator, name)] or ["transform"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that rows of an array do not have
        return [np.asarray(getattr(estimator, name)(rows)) for name in methods]


def _from_xgboost_file(file: Path, _row_shape: Sequence[int], _example: Columns | None) -> Converted:
    xgboost = _needed("xgboost")
    booster = xgboost.Booster(model_file=file)
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    estimator = (xgboost.XGBClassifier if objective.startswith(("binary:", "multi:")) else xgboost.XGBRegressor)()
    estimator.load_model(file)
    return _from_xgboost(estimator)


def _from_xgboost(estimator: Any) -> Converted:
    converter = _needed("onnxmltools")
    return Converted(converter.convert_xgboost(estimator, initial_types=_numbers(estimator.n_features_in_)), _estimator_reference(estimator))


def _from_lightgbm_file(file: Path, _row_shape: Sequence[int], _example: Columns | None) -> Converted:
    booster = _needed("lightgbm").Booster(model_file=file)
    model = _needed("onnxmltools").convert_lightgbm(booster, initial_types=_numbers(booster.num_feature()), zipmap=False)
    classifies = len(model.graph.output) == 2
    return Converted(_with_free_rows(model), lambda inputs: _booster_outputs(np.asarray(booster.predict(inputs[0])), classifies=classifies))


def _booster_outputs(predicted: Array, *, classifies: bool) -> list[Array]:
    """Return label and probabilities, or the number, as the ONNX model gives them."""
    if not classifies:
        return [predicted]
    probabilities = np.stack([1 - predicted, predicted], axis=1) if predicted.ndim == 1 else predicted
    return [probabilities.argmax(axis=1), probabilities]


def _from_lightgbm(estimator: Any) -> Converted:
    model = _needed("onnxmltools").convert_lightgbm(estimator, initial_types=_numbers(estimator.n_features_in_), zipmap=False)
    return Converted(_with_free_rows(model), _estimator_reference(estimator))


def _numbers(features: int) -> list[tuple[str, Any]]:
    return [(_INPUT, import_module("onnxmltools.convert.common.data_types").FloatTensorType([None, features]))]


def _with_free_rows(model: Any) -> Any:
    """Return the model with outputs of any number of rows; LightGBM's converter says 1 for the label (onnxmltools 1.16)."""
    for output in model.graph.output:
        axes = output.type.tensor_type.shape.dim
        if axes and axes[0].dim_value == 1:
            axes[0].Clear()
    return model


def _from_torch_program(file: Path, _row_shape: Sequence[int], _example: Columns | None) -> Converted:
    torch = _needed("torch")
    program = torch.export.load(file)
    return Converted(_torch_model(torch, program), _torch_reference(torch, program.module()))


def _from_torch_module(file: Path, row_shape: Sequence[int], _example: Columns | None) -> Converted:
    torch = _needed("torch")
    module = torch.load(file, map_location="cpu", weights_only=False)
    if not isinstance(module, torch.nn.Module):
        raise ToolError(f"{file} holds a {type(module).__qualname__}, not a module: save the module itself, or better `torch.export.save` as *.pt2")
    if not row_shape:
        raise ToolError(f"{file} does not say what the module takes: give the shape of one row with --shape, for example --shape 3,224,224")
    module.eval()
    rows = ({0: torch.export.Dim("rows")},)
    model = _torch_model(torch, module, (torch.zeros(2, *row_shape),), dynamic_shapes=rows, input_names=[_INPUT], output_names=["output"])
    return Converted(model, _torch_reference(torch, module))


def _torch_model(torch: Any, *arguments: Any, **options: Any) -> Any:
    _needed("onnxscript")
    return torch.onnx.export(*arguments, dynamo=True, verbose=False, **options).model_proto


def _torch_reference(torch: Any, module: Any) -> Reference:
    def ask(inputs: Sequence[Array]) -> list[Array]:
        with torch.no_grad():
            outputs = module(*map(torch.from_numpy, inputs))
        return [output.numpy() for output in (outputs if isinstance(outputs, tuple | list) else [outputs])]

    return ask


def _needed(package: str) -> Any:
    """Return a package that only this conversion needs; raise `ToolError` with the command that installs it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        missing = (error.name or package).partition(".")[0]
        raise ToolError(f"this conversion needs the package {missing}; install it with: {_PIP.get(missing, f'pip install {missing}')}") from None


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turn what the converters raise, which is anything, into one sentence; what they warn of is for those who call them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(f"{file} cannot be converted: {' '.join(str(error).split())[:500] or type(error).__name__}") from error


_Reader: TypeAlias = Callable[[Path, Sequence[int], Columns | None], Converted]
_READERS: Final[dict[tuple[str, ...], _Reader]] = {
    (".joblib", ".pkl", ".pickle"): _from_pickle,
    (".json", ".ubj"): _from_xgboost_file,
    (".txt",): _from_lightgbm_file,
    (".pt2",): _from_torch_program,
    (".pt", ".pth"): _from_torch_module,
}
