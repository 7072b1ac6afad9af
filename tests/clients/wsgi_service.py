"""The echo and the stream for WSGI servers."""


def app(environ, start_response):
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return (b"data: %d\n\n" % number for number in range(5))
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Method", environ["REQUEST_METHOD"]), ("Content-Length", str(len(body)))])
    return [body]
