"""CoAP over UDP by aiocoap, EDHOC by lakers under it: a server, or a client that sends requests.

  python aiocoapPeer.py '{"role":"server","key":…,"cred":…,"peer":…}'   prints {"port":…}
  python aiocoapPeer.py '{"role":"client",…,"port":…,"combined":true,"requests":[["m/t","aa"],…]}'

Prints one JSON object a line; bytes in hex.
"""
import asyncio
import json
import socket
import sys
from importlib.metadata import version

import aiocoap
import cbor2
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

given = json.loads(sys.argv[1])


def credentials(pattern):
    """Ours and the peer's claims sets, under the address that they are for."""
    known = CredentialsMap()
    known.load_from_dict(
        {
            pattern: {
                "edhoc-oscore": {
                    "suite": 2,
                    "method": 3,
                    "own_cred_style": "by-key-id",
                    "own_cred": {14: cbor2.loads(bytes.fromhex(given["cred"]))},
                    "private_key": {1: 2, -1: 1, -4: bytes.fromhex(given["key"])},
                    "peer_cred": {14: cbor2.loads(bytes.fromhex(given["peer"]))},
                    "use_combined_edhoc": given.get("combined", True),
                }
            }
        }
    )
    return known


def say(what):
    print(json.dumps({"version": version("aiocoap"), **what}), flush=True)


class Topic(resource.Resource):
    async def render_post(self, request):
        claims = getattr(request.remote, "authenticated_claims", [])
        who = b"someone" if len(claims) else b"nobody"
        return aiocoap.Message(code=aiocoap.CHANGED, payload=who + b" said " + request.payload)


async def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = resource.Site()
    site.add_resource(["m", "temperature"], Topic())
    known = credentials(f"coap://127.0.0.1:{port}/*")
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, known),
        bind=("127.0.0.1", port),
        server_credentials=known,
        transports=["simplesocketserver"],
    )
    say({"port": port})
    # Whoever started it closes its stdin.
    await asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)


async def client():
    context = await aiocoap.Context.create_client_context(transports=["oscore", "simple6"])
    context.client_credentials = credentials(f"coap://127.0.0.1:{given['port']}/*")
    for path, payload in given["requests"]:
        uri = f"coap://127.0.0.1:{given['port']}/{path}"
        request = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=bytes.fromhex(payload))
        response = await asyncio.wait_for(context.request(request).response, 20)
        say({"code": int(response.code), "payload": response.payload.hex()})
    await context.shutdown()


asyncio.run(server() if given["role"] == "server" else client())
