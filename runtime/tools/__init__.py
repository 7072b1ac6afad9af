"""What is done to models away from serving: files in, files out, and a comparison before anything is accepted.

Changes, each a function from one model file to another:

- `convert`      models of scikit-learn, XGBoost, LightGBM and PyTorch to ONNX
- `optimize`     constants folded and operators fused
- `quantize`     INT8 weights, INT8 by calibration, half precision
- `prune`        hidden units or single weights of least magnitude

What they are judged by:

- `rows`         columns of a table as a model's inputs
- `measuring`    runs a changed model beside its original
- `predictions`  what outputs predict, and how two models differ in it
- `comparison`   what was measured, and whether that is within limits
- `report`       a comparison as text
- `publish`      the accepted model becomes a version
- `errors`       what stops a tool

Where versions come from, too:

- `registry`     an MLflow registry: what its URIs mean, and the files behind them
"""
