"""aiocoap with a security context that is in a folder: a server, or a client that sends requests.

  python aiocoapPeer.py server FOLDER         prints {"port":…}, ends with its stdin
  python aiocoapPeer.py client FOLDER PORT    answers each line [path, payload] of its stdin

Prints one JSON object a line; payloads in hex.
"""
import asyncio
import json
import socket
import sys
from importlib.metadata import version

import aiocoap
from aiocoap import oscore, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

role, folder = sys.argv[1:3]
context = oscore.FilesystemSecurityContext(folder)


def say(what):
    print(json.dumps({"version": version("aiocoap"), **what}), flush=True)


async def next_line():
    return await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline)


class Topic(resource.Resource):
    """Says how often it was asked."""

    asked = 0

    async def render_post(self, request):
        self.asked += 1
        count = str(self.asked).encode()
        return aiocoap.Message(code=aiocoap.CHANGED, payload=count + b" " + request.payload)


async def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = resource.Site()
    site.add_resource(["m", "t"], Topic())
    known = CredentialsMap()
    known[":device"] = context
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, known),
        bind=("127.0.0.1", port),
        server_credentials=known,
        transports=["simplesocketserver"],
    )
    say({"port": port})
    await next_line()


async def client():
    origin = f"coap://127.0.0.1:{sys.argv[3]}"
    coap = await aiocoap.Context.create_client_context(transports=["oscore", "simple6"])
    coap.client_credentials[f"{origin}/*"] = context
    while line := await next_line():
        path, payload = json.loads(line)
        uri = f"{origin}/{path}"
        request = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=bytes.fromhex(payload))
        response = await asyncio.wait_for(coap.request(request).response, 20)
        say({"code": int(response.code), "payload": response.payload.hex()})
    await coap.shutdown()


asyncio.run(server() if role == "server" else client())
