"""Inference wire formats: the bodies of an exchange in, named tensors out, or the reason why there are none.

One file per format. Each says which paths it answers to (`PATH`) and reads a request and a reply; `decoding` knows them
all. A further format is one more file and its name in `decoding.FORMATS`.

- `decoding`         an exchange to (what the request said, what the response said); the only entrance
- `open_inference`   Open Inference V2: JSON, and JSON followed by binary tensors
- `tensorflow_v1`    TensorFlow Serving and KServe V1: `instances`, `inputs`, `examples`
- `mlflow`           MLflow scoring: CSV, dataframes, `instances`, `inputs`

What they share:

- `refusal`          the reasons for which a body is given up, and the bounds on its size
- `content_coding`   gzip and deflate, within a bound
- `json_documents`   JSON as inference services write it, bare NaN and Infinity included
- `nested_lists`     nested lists, rows and columns of JSON to tensors
- `binary_tensors`   little-endian tensors to values
"""
