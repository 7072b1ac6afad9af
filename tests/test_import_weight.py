"""What runs beside a model stays light: the data plane's modules load nothing that only the watching side needs."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ["aiohttp", "chdb", "clickhouse_connect", "cryptography", "numpy", "onnxruntime", "orjson", "pyarrow", "scipy"]
REPORT = """
import importlib, json, sys
names, barred = json.loads(sys.argv[1])
loaded = {}
for name in names:
    importlib.import_module(name)
    found = sorted(set(barred) & set(sys.modules) - set().union(*loaded.values()))
    if found:
        loaded[name] = found
print(json.dumps(loaded))
"""


def modules(*patterns: str) -> list[str]:
    """Return the names of the modules whose files match, `__main__` apart."""
    files = sorted(file.relative_to(ROOT).with_suffix("") for pattern in patterns for file in ROOT.glob(pattern))
    return [".".join(file.parts).removesuffix(".__init__") for file in files if file.name != "__main__"]


def loaded_by(names: list[str], barred: list[str]) -> dict[str, list[str]]:
    """Import the modules one after the other in a new process; return which of them was the first to load something barred."""
    process = subprocess.run([sys.executable, "-c", REPORT, json.dumps([names, barred])], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_the_data_plane_loads_nothing_heavy() -> None:
    names = modules("records/**/*.py", "config/**/*.py", "http1/**/*.py", "privacy/**/*.py", "proxy/**/*.py", "access/gate.py", "store/spool/writer.py")
    assert {"records.exchange", "config.settings", "store.spool.writer"} < set(names)
    assert loaded_by(names, HEAVY) == {}


def test_a_monitor_loads_nothing_that_only_some_need() -> None:
    barred = ["apprise", "chdb", "cryptography", "onnxruntime", "opentelemetry", "pyarrow.parquet", "scipy.linalg", "scipy.optimize", "scipy.stats"]
    assert loaded_by(["driftline.monitor"], barred) == {}


def test_settings_load_without_reading_yaml() -> None:
    assert loaded_by(["config.settings"], [*HEAVY, "argparse", "yaml"]) == {}


def test_the_check_sees_what_a_module_loads() -> None:
    assert loaded_by(["records.ids", "config.load"], ["yaml"]) == {"config.load": ["yaml"]}
