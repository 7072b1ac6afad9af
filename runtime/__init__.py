"""The inference runtime: ONNX models in a directory, served over HTTP. It knows nothing of the watching side.

In the order of a request's way:

- `server`          one process: a listening socket, the models, the ticks, the drain
- `connection`      one client's connection: requests in, replies out
- `routes`          what a request's target asks for
- `service`         from a request to its reply, in each protocol's way
- `open_inference`  Open Inference V2 as a server speaks it
- `messages`        its JSON
- `columns`         V1 and MLflow: tensors of any kind to a model's inputs, outputs to rows
- `packing`         values of JSON to a tensor's bytes
- `catalogue`       which versions serve now
- `crowd`           how many clients are connected, and how many of them wait
- `lane`            one version in service: what waits for it, its instances, what became of each request
- `inference`       one request as it waits, and what a batch gave for it
- `batching`        what is computed together, and when (policy)
- `latency`         how long batches take, learned (policy)
- `scaling`         how many instances there are (policy)
- `stacking`        requests to the arrays of a batch, and the outputs back
- `instance`        a thread that computes one batch at a time
- `watch`           ends what does not end on the event loop
- `tally`           what is counted
- `refusal`         why a request is not answered as it asks
- `reply`           what is answered, and who gets it

And what is served:

- `repository`      the directory of models: versions, their settings, their identity
- `verification`    what a version must show before it takes traffic
- `session`         one loaded model, and the only import of ONNX Runtime outside `tools`
- `device_memory`   how much memory of the CUDA device is taken
- `signature`       what a model takes and gives: names, datatypes, shapes
- `tools`           what is done to models away from serving
"""
