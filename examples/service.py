"""An inference service in forty lines: a scikit-learn model behind Open Inference Protocol V2 (JSON).

python examples/service.py
driftline up --upstream http://127.0.0.1:9000
curl http://127.0.0.1:8080/v2/models/iris/infer --json \
  '{"inputs": [{"name": "petals", "shape": [1, 2], "datatype": "FP32", "data": [4.7, 1.4]}]}'
"""

import argparse

import numpy as np
from aiohttp import web
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

iris = load_iris()
model = LogisticRegression(max_iter=1_000).fit(iris.data[:, 2:], iris.target)


async def infer(request: web.Request) -> web.Response:
    """Classify rows of petal length and width, in centimetres."""
    try:
        (petals,) = (await request.json())["inputs"]
        rows = np.reshape(petals["data"], (-1, 2)).astype(float)
    except (ValueError, TypeError, KeyError) as error:
        return web.json_response({"error": f"expected one input of shape [n, 2]: {error}"}, status=400)
    probabilities = model.predict_proba(rows)
    return web.json_response({"model_name": "iris", "outputs": [tensor("species", probabilities.argmax(1)), tensor("probabilities", probabilities)]})


def tensor(name: str, values: np.ndarray) -> dict[str, object]:
    """Write an array as the protocol does."""
    datatype = "INT64" if values.dtype.kind == "i" else "FP64"
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": values.ravel().tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()
    service = web.Application()
    service.router.add_post("/v2/models/iris/infer", infer)
    web.run_app(service, host=arguments.host, port=arguments.port)
