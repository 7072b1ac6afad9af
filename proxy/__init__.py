"""The data plane: forwards, mirrors, and puts one record per exchange into the tap. It never waits for the watching side.

HTTP/1.1 itself is in the room `http1`. In the order of a request's way:

- `client`     one client's connection: requests in, replies out
- `routing`    which route a request takes, and to which arms it goes
- `heads`      the head that goes on to the upstream, and the head that comes back
- `replies`    the replies that the proxy makes itself
- `route`      a route as a worker holds it: arms with their connections and counts
- `flight`     one exchange in flight: request to the upstream, reply to the client, record to the tap
- `writing`    hands pieces of a message to a connection
- `capture`    the first bytes of a body, kept as it passes
- `mirror`     the same request to the shadows, whose replies nobody waits for
- `tracing`    the trace context of requests that go on
- `sampling`   which requests a shadow is due
- `breaker`    when a shadow that fails is left alone, and when it is tried again
- `pool`       connections to one upstream: which endpoint takes a request, and who waits
- `balancing`  the policy of that choice, and of leaving endpoints out
- `endpoint`   one address of an upstream: its connections, and how it does
- `health`     whether endpoints are well, asked every so often
- `names`      the addresses of an upstream's names
- `upstream_tls`  how connections to endpoints are encrypted, and whom they trust
- `upstream`   one connection to an endpoint
- `tunnel`     what an upgraded connection says, both ways
- `tally`      what is counted
- `context`    what all connections of one worker share
- `accepting`  takes clients' connections from the shared socket
- `occupancy`  how many connections each worker holds
- `tls`        certificates for clients, and of clients
- `certificates`  certificates and keys in files
- `worker`     one process: accepting, the tick, the drain
"""
