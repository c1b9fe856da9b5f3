"""aiocoap as a plain CoAP server, or as a client that is told what to ask.

Both speak JSON lines: the server says {"port": N} when it is ready; the client reads
{"method", "uri", "payload", "type"} and says {"code", "payload", "format"} or {"error"}.
"""

import asyncio
import json
import socket
import sys

import aiocoap
from aiocoap import resource
from aiocoap.numbers import TransportTuning


def say(**what):
    print(json.dumps(what), flush=True)


class Echo(resource.Resource):
    """Gives back what it gets, and how often it was asked."""

    def __init__(self, delay):
        super().__init__()
        self.delay = delay
        self.count = 0

    async def render_get(self, request):
        return await self.render_post(request)

    async def render_post(self, request):
        self.count += 1
        await asyncio.sleep(self.delay)
        query = "&".join(request.opt.uri_query)
        head = f"{self.count} {query} ".encode()
        return aiocoap.Message(
            code=aiocoap.CHANGED, payload=head + request.payload, content_format=42
        )


async def serve():
    site = resource.Site()
    site.add_resource(["echo"], Echo(0))
    # Longer than aiocoap waits with an acknowledgement.
    site.add_resource(["slow"], Echo(0.3))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port))
    say(port=port)
    await asyncio.get_running_loop().create_future()


class Quick(TransportTuning):
    ACK_TIMEOUT = 0.3

    def __init__(self, reliability):
        self.reliability = reliability


async def ask():
    context = await aiocoap.Context.create_client_context()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        request = aiocoap.Message(
            code=getattr(aiocoap, asked["method"]),
            uri=asked["uri"],
            payload=bytes.fromhex(asked["payload"]),
            transport_tuning=Quick(asked["type"] == "CON"),
        )
        try:
            response = await context.request(request).response
        except aiocoap.error.Error as error:
            say(error=type(error).__name__)
            continue
        say(
            code=response.code.dotted,
            payload=response.payload.hex(),
            format=None if response.opt.content_format is None else int(response.opt.content_format),
        )


asyncio.run(serve() if sys.argv[1] == "server" else ask())
