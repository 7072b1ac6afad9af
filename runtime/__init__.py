"""The inference runtime: ONNX models in a directory, served over HTTP. It knows nothing of the watching side.

- `signature`   what a model takes and gives: names, datatypes, shapes
- `session`     one loaded model, and the only import of ONNX Runtime outside `tools`
- `repository`  the directory of models: versions, their settings, their identity
- `tools`       what is done to models away from serving
"""
