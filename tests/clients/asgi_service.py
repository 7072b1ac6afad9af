"""What the clients' tests ask for: echoes, streams, a model that speaks OpenAI's protocol, a WebSocket."""

import asyncio
import json

LARGE = bytes(range(256)) * 16_384
"""4 MiB."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo_messages(receive, send)
    else:
        path = scope["path"]
        respond = {"/stream": stream, "/v1/chat/completions": complete, "/large": large, "/early": early}.get(path, echo)
        await respond(scope, receive, send)


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def body_of(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def begin(send, status=200, **headers):
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})


async def echo(scope, receive, send):
    """Answer with the body, and with the method in a field."""
    body = await body_of(receive)
    await begin(send, x_method=scope["method"], x_query=scope["query_string"].decode(), content_length=str(len(body)))
    await send({"type": "http.response.body", "body": body})


async def large(scope, receive, send):
    await body_of(receive)
    await begin(send, content_length=str(len(LARGE)))
    await send({"type": "http.response.body", "body": LARGE})


async def early(scope, receive, send):
    """Answer before the body was read."""
    await begin(send, 413, content_length="9")
    await send({"type": "http.response.body", "body": b"too large"})


async def events(send, pieces):
    await begin(send, content_type="text/event-stream")
    for piece in pieces:
        await send({"type": "http.response.body", "body": b"data: " + piece + b"\n\n", "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b""})


async def stream(scope, receive, send):
    await body_of(receive)
    await events(send, [b"%d" % number for number in range(5)])


async def complete(scope, receive, send):
    request = json.loads(await body_of(receive))
    frame = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
    words = request["messages"][-1]["content"].split(" ")
    if not request.get("stream"):
        message = {"role": "assistant", "content": " ".join(words)}
        reply = json.dumps({**frame, "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
        await begin(send, content_type="application/json", content_length=str(len(reply)))
        await send({"type": "http.response.body", "body": reply})
        return
    pieces = [json.dumps({**frame, "choices": [{"index": 0, "delta": {"content": word}}]}).encode() for word in words]
    await events(send, [*pieces, b"[DONE]"])


async def echo_messages(receive, send):
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.disconnect":
            return
        elif message.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4000, "reason": "as asked"})
            return
        else:
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
