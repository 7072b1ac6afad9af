"""A real registry of MLflow, in SQLite."""

import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from config.choices import Device
from driftline.tools.pulling import Puller, follow
from runtime.tools import registry as mlflow_registry
from tests.runtime.graphs import linear

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed (the extra mlflow): nothing is pulled from a real registry")


class Registered:
    """The registered model `fraud`, and what is pulled of it."""

    def __init__(self, directory: Path, database: Path, tool) -> None:
        shutil.copy(database, directory / "mlflow.db")  # to make the tables takes seconds
        self.uri = f"sqlite:///{directory}/mlflow.db"
        self.models = directory / "models"
        self._directory = directory / "source"
        self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self._tool = tool

    def add(self, flavours: dict, **files: bytes) -> int:
        """Register a version with these files; return its number."""
        number = 1 + len(self._client.search_model_versions("name='fraud'"))
        source = self._directory / str(number)
        source.mkdir(parents=True)
        (source / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours}))
        for name, content in files.items():
            (source / name.replace("__", ".")).write_bytes(content)
        self._client.create_model_version("fraud", source=str(source))
        return number

    def add_linear(self, scale: float) -> int:
        linear(self._directory / "made.onnx", scale)
        return self.add({"onnx": {"data": "model.onnx"}, "python_function": {}}, model__onnx=(self._directory / "made.onnx").read_bytes())

    def name(self, alias: str, number: int) -> None:
        self._client.set_registered_model_alias("fraud", alias, str(number))

    def pull(self, *words: str) -> int:
        return self._tool("pull", *(words or ("models:/fraud@champion",)), "--models", self.models, "--registry", self.uri, "--device", "cpu")

    def there(self) -> dict[str, list[str]]:
        """Return the labels of each version in the directory of models."""
        versions = [entry for entry in (self.models / "fraud").iterdir() if (entry / "model.onnx").exists()]
        return {entry.name: yaml.safe_load((entry / "model.yaml").read_text())["labels"] if (entry / "model.yaml").exists() else [] for entry in versions}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("registry") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}", registry_uri=f"sqlite:///{file}").create_registered_model("fraud")
    return file


@pytest.fixture
def registered(tmp_path: Path, database: Path, tool) -> Registered:
    return Registered(tmp_path, database, tool)


def test_the_directory_has_what_the_alias_names_also_when_it_goes_back_and_never_what_cannot_serve(registered: Registered, capsys) -> None:
    first, broken, third = registered.add_linear(1), registered.add({"onnx": {"data": "model.onnx"}}, model__onnx=b"none"), registered.add_linear(3)
    registered.name("champion", first)
    assert registered.pull() == 0
    assert registered.there() == {"1": ["champion"]}
    registered.name("champion", broken)
    assert registered.pull() == 2
    assert "fraud version 2 is not taken, and what was there stays: models:/fraud/2/model.onnx cannot be loaded" in capsys.readouterr().err
    assert registered.there() == {"1": ["champion"]}
    registered.name("champion", third)
    assert registered.pull("models:/fraud@champion", "models:/fraud/1") == 0
    assert registered.there() == {"1": [], "3": ["champion"]}
    registered.name("champion", first)
    assert registered.pull() == 0
    assert registered.there() == {"1": ["champion"]}
    assert "fraud version 3 is removed" in capsys.readouterr().out
    assert json.loads((registered.models / "fraud/1/report.json").read_text())["pulled_from"] == "models:/fraud/1"
    assert sorted(entry.name for entry in (registered.models / "fraud").iterdir()) == ["1"]


def test_what_was_not_pulled_is_left_alone(registered: Registered, capsys) -> None:
    number = registered.add_linear(1)
    linear(registered.models / "fraud/7/model.onnx", 7)
    assert registered.pull(f"models:/fraud/{number}") == 0
    assert (registered.models / "fraud/7").exists()
    shutil.move(registered.models / "fraud/7", registered.models / "fraud/2")
    registered.add_linear(2)
    assert registered.pull("models:/fraud/2") == 2
    assert "is there already and was not pulled" in capsys.readouterr().err


def test_other_flavours_are_converted_where_that_is_asked_for(registered: Registered, table, capsys) -> None:
    joblib = pytest.importorskip("joblib")
    features = table.select([f"f{place}" for place in range(8)]).to_pandas().to_numpy()
    joblib.dump(LogisticRegression().fit(features, table.column("y").to_numpy()), registered.models.parent / "model.pkl")
    number = registered.add(
        {"python_function": {}, "sklearn": {"pickled_model": "model.pkl"}}, model__pkl=(registered.models.parent / "model.pkl").read_bytes()
    )
    other = registered.add({"python_function": {}})
    assert registered.pull(f"models:/fraud/{number}") == 2
    assert "it has the flavours python_function, sklearn, and not onnx; --convert converts some others" in capsys.readouterr().err
    assert registered.pull(f"models:/fraud/{number}", "--convert") == 0
    assert registered.there() == {str(number): []}
    assert registered.pull(f"models:/fraud/{other}", "--convert") == 2
    assert "has the flavours python_function: expected onnx, sklearn, xgboost, lightgbm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/fraud@absent", "models:/fraud@absent cannot be resolved: "),
        ("models:/absent/1", "models:/absent/1 cannot be resolved: "),
        ("models:/fraud", "expected models:/NAME@ALIAS or models:/NAME/VERSION, found models:/fraud"),
        ("runs:/1/model", "expected models:/NAME@ALIAS or models:/NAME/VERSION, found runs:/1/model"),
        ("models:/ü@x", "the name cannot be part of a path"),
    ],
)
def test_what_cannot_be_had_is_said(registered: Registered, capsys, uri: str, said: str) -> None:
    assert registered.pull(uri) == 2
    assert said in capsys.readouterr().err


def test_a_file_outside_the_version_is_not_taken(registered: Registered, tmp_path: Path, capsys) -> None:
    linear(tmp_path / "secret.onnx", 1)
    number = registered.add({"onnx": {"data": str(tmp_path / "secret.onnx")}})
    assert registered.pull(f"models:/fraud/{number}") == 2
    assert "which is not there" in capsys.readouterr().err


def test_without_a_registry_none_is_made(tool, tmp_path: Path, capsys, monkeypatch) -> None:
    for name in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert tool("pull", "models:/fraud/1", "--models", tmp_path / "models") == 2
    assert "expected the URI of a registry: --registry, or one of MLFLOW_REGISTRY_URI and MLFLOW_TRACKING_URI" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_is_said_what_to_install(tool, tmp_path: Path, capsys, monkeypatch) -> None:
    def missing(name: str):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(mlflow_registry, "import_module", missing)
    assert tool("pull", "models:/fraud/1", "--models", tmp_path) == 2
    assert "install it with: pip install 'driftline[mlflow]'" in capsys.readouterr().err


def test_it_follows_an_alias_until_it_is_told_to_stop_and_says_a_problem_once(registered: Registered, capsys) -> None:
    registered.name("champion", registered.add_linear(1))
    seen = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen.append((timeout, registered.there()))
            if len(seen) == 1:
                registered.name("champion", registered.add_linear(2))
            elif len(seen) == 2:
                registered.name("champion", registered.add({"onnx": {"data": "model.onnx"}}, model__onnx=b"none"))
            elif len(seen) == 4:
                self.set()
            return False

    puller = Puller(mlflow_registry.Registry(registered.uri), registered.models, Device.CPU, convert_others=False)
    follow(puller, [mlflow_registry.reference_of("models:/fraud@champion")], 2, Stop())
    assert seen == [(2, {"1": ["champion"]}), *[(2, {"2": ["champion"]})] * 3]
    assert capsys.readouterr().err.count("fraud version 3 is not taken") == 1
