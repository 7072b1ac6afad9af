"""Traffic for the sample service: flowers as they were measured, and after a while with longer petals.

python examples/traffic.py http://127.0.0.1:8080 --drift-after 300
"""

import argparse
import json
import random
import time
import urllib.request
from urllib.error import URLError

from sklearn.datasets import load_iris

PETALS = load_iris().data[:, 2:].tolist()


def request(rows: list[list[float]]) -> bytes:
    """Ask for the species of some flowers, by petal length and width."""
    tensor = {"name": "petals", "shape": [len(rows), 2], "datatype": "FP64", "data": [value for row in rows for value in row]}
    return json.dumps({"inputs": [tensor]}).encode()


def main() -> None:
    """Send until stopped."""
    parser = argparse.ArgumentParser(description="Traffic for examples/service.py.")
    parser.add_argument("url", help="where Driftline listens, for example http://127.0.0.1:8080")
    parser.add_argument("--per-second", type=float, default=20.0, help="requests per second (default 20)")
    parser.add_argument("--drift-after", type=float, default=float("inf"), metavar="SECONDS", help="from then on petals are 15%% longer (default never)")
    arguments = parser.parse_args()
    began = time.monotonic()
    while True:
        factor = 1.15 if time.monotonic() - began > arguments.drift_after else 1.0
        rows = [[length * factor * random.gauss(1, 0.02), width] for length, width in random.choices(PETALS, k=5)]
        asked = urllib.request.Request(f"{arguments.url}/v2/models/iris/infer", request(rows), {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(asked, timeout=5).read()
        except URLError as error:
            print(f"not answered: {error}", flush=True)
        time.sleep(random.expovariate(arguments.per_second))


if __name__ == "__main__":
    main()
