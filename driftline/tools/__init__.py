"""`driftline runtime TOOL`: the tools of `runtime/tools`, with rows from files and from the store.

- `arguments`   the command lines
- `asked`       what the arguments name
- `change`      optimize, quantize, prune
- `conversion`  convert
- `pulling`     pull

Where rows come from:

- `row_source`  what every source offers
- `tables`      a file in pieces
- `file_rows`   a file's rows as a model's inputs
- `store_rows`  stored requests as a model's inputs
"""
