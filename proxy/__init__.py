"""The data plane: forwards, mirrors, and puts one record per exchange into the tap. It never waits for the watching side.

In the order of a request's way:

- `wire`       HTTP/1.1 without I/O: bytes in, events out
- `client`     one client's connection: requests in, replies out
- `routing`    which route a request takes, and to which arms it goes
- `heads`      the head that goes on to the upstream, the head that comes back, and the replies that the proxy makes itself
- `route`      a route as a worker holds it: arms with their connections and counts
- `flight`     one exchange in flight: request to the upstream, reply to the client, record to the tap
- `capture`    the first bytes of a body, kept as it passes
- `mirror`     the same request to the shadows, whose replies nobody waits for
- `pool`       connections to one target
- `upstream`   one connection to a target
- `tally`      what is counted
- `worker`     one process: the listening socket, the tick, the drain
"""
