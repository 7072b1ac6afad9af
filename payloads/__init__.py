"""Inference wire formats: the bodies of an exchange in, named tensors out, or the reason why there are none.

One file per format. Each says which paths it answers to (`PATH`) and reads a request and a reply; `decoding` knows them
all. A further format is one more file, its place in `decoding.FORMATS` and its name in `records.payload.Format`.

- `decoding`           an exchange to (what the request said, what the response said); the only entrance, but for:
- `feedback`           Seldon's feedback and Clipper's updates: the truth about an earlier prediction

- `signatures`         what a model says of itself: names of columns, and what raw requests are

The formats:

- `open_inference`     Open Inference V2: JSON, and JSON followed by binary tensors; its messages in `open_inference_messages`
- `triton_generate`    Triton's generate extension: a text in, a text or a stream of it out
- `tensorflow_v1`      TensorFlow Serving and KServe V1: `instances`, `inputs`, `examples`
- `torchserve`         TorchServe: JSON, text, forms
- `seldon`             Seldon Core V1: `ndarray`, `tensor`, `tftensor`, `strData`, `jsonData`
- `mlflow`             MLflow scoring: CSV, dataframes, `instances`, `inputs`
- `sagemaker`          SageMaker's containers: CSV without a header, JSON, JSON Lines, RecordIO, Triton's content type
- `azure_ml`           Azure Machine Learning's online endpoints
- `openai_compatible`  OpenAI's chat completions, completions and embeddings, also streamed
- `clipper`            Clipper's query frontend
- `json_services`      any JSON, by two JMESPath expressions that a route sets

What they share:

- `refusal`            the reasons for which a body is given up, and the bounds on its size
- `content_coding`     gzip, deflate, zstd and br, within bounds
- `media_types`        content types and their parameters
- `json_documents`     JSON as inference services write it, bare NaN and Infinity included
- `nested_lists`       nested lists, rows and columns of JSON to tensors
- `nested_objects`     objects within objects to dotted names
- `tables`             CSV and data frames to tensors, one per column
- `texts`              free text to tensors
- `event_streams`      server-sent events, and when each came
- `multipart`          forms with files
- `binary_tensors`     little-endian tensors to values
- `recordio`           RecordIO-protobuf to tensors
"""
