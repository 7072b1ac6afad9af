"""The command lines of `driftline runtime TOOL`. Nothing heavy is loaded before a tool runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from config.options import add_config_option, add_option
from config.units import QuantityError, Seconds
from driftline.time_argument import time_ns

Parser: TypeAlias = argparse.ArgumentParser

_ROWS_AT_MOST: Final = 4_000


def add_tools(parser: Parser) -> None:
    """Add the tools to the parser of `driftline runtime`."""
    tools = parser.add_subparsers(metavar="TOOL", title="tools", description="What is done to models away from serving (docs/runtime-tools.md).")
    for name, (text, configure, module) in _TOOLS.items():
        tool = tools.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        configure(tool)
        tool.set_defaults(run=_runner(name, module))


def _runner(name: str, module: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        try:
            tool: Any = import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in {"driftline", "runtime"}:
                raise
            sys.stderr.write(f"driftline runtime {name} needs the package {error.name}; install it with: pip install 'driftline[runtime,tools]'\n")
            return 2
        status: int = tool.run(name, arguments)
        return status

    return run


def _convert(parser: Parser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="scikit-learn, XGBoost, LightGBM: *.joblib, *.pkl; XGBoost: *.json, *.ubj; LightGBM: *.txt; PyTorch: *.pt2, *.pt, *.pth. "
        "Pickles (*.joblib, *.pkl, *.pt, *.pth) run what they say: give files that you trust.",
    )
    _add_target(parser)
    parser.add_argument("--shape", type=_shape, default=(), metavar="N,N", help="For *.pt, *.pth: the shape of one row, for example 3,224,224.")
    parser.add_argument("--from", dest="rows_file", type=Path, metavar="FILE", help="Rows on which both are compared, *.csv or *.parquet. (default: made up)")
    parser.add_argument("--exclude", action="append", default=[], metavar="COLUMN", help="A column that is no feature; repeatable.")
    parser.add_argument(
        "--same", type=_share, default=0.99, metavar="SHARE", help="Share of rows that must be answered as the original does. (default: %(default)s)"
    )


def _pull(parser: Parser) -> None:
    parser.add_argument("uri", nargs="+", metavar="URI", help="models:/NAME@ALIAS or models:/NAME/VERSION.")
    parser.add_argument("--models", required=True, type=Path, metavar="DIR", help="The directory of models, DIR/NAME/VERSION/model.onnx.")
    parser.add_argument(
        "--registry",
        default="",
        metavar="URI",
        help="The registry, for example http://mlflow:5000. (default: as MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI say)",
    )
    parser.add_argument("--every", type=_seconds, metavar="DURATION", help="Look again so often, until told to stop, for example 30s. (default: once)")
    parser.add_argument(
        "--convert",
        action="store_true",
        help="Convert scikit-learn, XGBoost and LightGBM where a version has no ONNX. Pickles run what they say: for registries that you trust.",
    )
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="Where versions are verified. (default: %(default)s)")


def _optimize(parser: Parser) -> None:
    _add_changed_model(parser)
    _add_limits(parser, agreement=0.999)


def _quantize(parser: Parser) -> None:
    _add_changed_model(parser)
    parser.add_argument(
        "--to",
        choices=("int8", "int8-static", "fp16"),
        default="int8",
        help="Weights in INT8; or activations too, their ranges taken from one half of the rows, which the comparison does not see; or half precision, for GPUs. "
        "(default: %(default)s)",
    )
    _add_limits(parser, agreement=0.99)


def _prune(parser: Parser) -> None:
    _add_changed_model(parser)
    parser.add_argument("--share", type=_share, required=True, metavar="SHARE", help="How much of each layer is pruned, from 0 to 1.")
    parser.add_argument(
        "--what",
        choices=("units", "weights"),
        default="units",
        help="Units of hidden layers, which makes the model smaller and faster, or single weights, which only makes it compress better. (default: %(default)s)",
    )
    _add_limits(parser, agreement=0.99)


def _score(parser: Parser) -> None:
    _add_model(parser)
    _add_rows(parser, required=True)
    parser.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN", help="With --from: a column that is no feature and stands beside the answers; repeatable."
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="Where the answers go, as Parquet. The same command again goes on there.")
    parser.add_argument("--record", action="store_true", help="Record requests and replies in the spool as well, as those that are served.")
    add_option(parser, "--spool", "spool.directory")


_Tool: TypeAlias = tuple[str, Callable[[Parser], None], str]
_TOOLS: Final[dict[str, _Tool]] = {
    "convert": ("make an ONNX model of one of scikit-learn, XGBoost, LightGBM or PyTorch", _convert, "driftline.tools.conversion"),
    "optimize": ("fold constants and fuse operators once, not at each start", _optimize, "driftline.tools.change"),
    "quantize": ("compute in smaller numbers", _quantize, "driftline.tools.change"),
    "prune": ("remove what contributes least", _prune, "driftline.tools.change"),
    "pull": ("take versions from an MLflow registry, and follow its aliases", _pull, "driftline.tools.pulling"),
    "score": ("answer the rows of a file or of a period in the store, each once", _score, "driftline.scoring.score"),
}


def _add_target(parser: Parser) -> None:
    parser.add_argument("--models", required=True, type=Path, metavar="DIR", help="The directory of models, DIR/MODEL/VERSION/model.onnx.")
    parser.add_argument("--model", required=True, metavar="NAME", help="The model; what is accepted becomes its next version.")


def _add_model(parser: Parser) -> None:
    parser.add_argument("--models", required=True, type=Path, metavar="DIR", help="The directory of models, DIR/MODEL/VERSION/model.onnx.")
    parser.add_argument("--model", required=True, metavar="NAME", help="The model.")
    parser.add_argument("--version", type=_version, metavar="N", help="Its version. (default: the newest)")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="Where it runs. (default: %(default)s)")


def _add_changed_model(parser: Parser) -> None:
    _add_model(parser)
    _add_rows(parser, required=False)
    parser.add_argument("--label", metavar="COLUMN", help="With --from: the column of true classes or numbers, for the metric.")
    parser.add_argument("--rows", type=_version, default=_ROWS_AT_MOST, metavar="N", help="Rows that are used at most. (default: %(default)s)")


def _add_rows(parser: Parser, *, required: bool) -> None:
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--from", dest="rows_file", type=Path, metavar="FILE", help="Rows, *.csv or *.parquet: a column per feature, or one per input.")
    source.add_argument("--from-store", action="store_true", help="Rows that were sent to the model, from the store.")
    parser.add_argument("--exclude", action="append", default=[], metavar="COLUMN", help="With --from: a column that is no feature, such as an id; repeatable.")
    parser.add_argument("--since", type=time_ns, metavar="TIME", help="With --from-store: from this time on, ISO 8601, UTC unless it says otherwise.")
    parser.add_argument("--until", type=time_ns, metavar="TIME", help="With --from-store: before this time.")
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")


def _add_limits(parser: Parser, *, agreement: float) -> None:
    limits = parser.add_argument_group("limits", "What is beyond one of them is not accepted (exit status 1).")
    limits.add_argument(
        "--agreement", type=_share, default=agreement, metavar="SHARE", help="At least this share of rows keeps its predicted class. (default: %(default)s)"
    )
    limits.add_argument(
        "--difference",
        type=_positive,
        metavar="RATIO",
        help="No output differs by more, as a share of its largest magnitude. (default: 0.05 where no class is predicted, else no limit)",
    )
    limits.add_argument(
        "--metric-loss",
        type=_positive,
        default=0.01,
        metavar="X",
        help="Accuracy, or root mean squared error, is worse by at most this. (default: %(default)s)",
    )
    limits.add_argument("--slowdown", type=_positive, default=1.2, metavar="RATIO", help="It takes at most this times the time. (default: %(default)s)")


def _seconds(text: str) -> float:
    try:
        seconds = float(Seconds.parse(text))
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1s, found {text!r}")
    return seconds


def _shape(text: str) -> tuple[int, ...]:
    pieces = text.split(",")
    if not all(piece.strip().isdecimal() and int(piece) for piece in pieces):
        raise argparse.ArgumentTypeError(f"expected lengths as in 3,224,224, found {text!r}")
    return tuple(map(int, pieces))


def _share(text: str) -> float:
    share = _positive(text)
    if share > 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, found {text!r}")
    return share


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, found {text!r}")
    return number


def _version(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)
