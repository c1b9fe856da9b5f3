#!/usr/bin/env python3
"""Writes vectors/oscore-aiocoap.json: requests and responses of CoAP before and after aiocoap protected
them with OSCORE. Nothing of countersign's code takes part.

  python3 -m venv venv && venv/bin/pip install 'aiocoap[oscore]==0.4.17'
  venv/bin/python vectors/make/oscore-aiocoap.py > vectors/oscore-aiocoap.json

Nothing in it is drawn, so that a run changes nothing.
"""
import json

from aiocoap import Message, oscore
from aiocoap.message import Direction
from aiocoap.numbers import codes, types

SECRET = bytes(range(1, 17))
SALT = bytes.fromhex("9e7ca92223786340")
TOKEN = bytes.fromhex("0102")
MESSAGE_ID = 0x0708


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    def __init__(self, sender_id, recipient_id, id_context, number):
        self.alg_aead = oscore.algorithms[oscore.DEFAULT_ALGORITHM]
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.id_context = id_context
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.sender_sequence_number = number
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()
        self.derive_keys(SALT, SECRET)

    def post_seqnoincrease(self):
        pass


def wire(message, kind):
    message.mtype, message.mid, message.token = kind, MESSAGE_ID, TOKEN
    return message.encode().hex()


def request():
    message = Message(code=codes.POST, payload=b"A" * 40)
    message.opt.uri_host = "host.example"
    message.opt.uri_path = ("a", "x" * 20)
    message.opt.uri_query = ("q=1",)
    message.opt.content_format = 60
    message.opt.echo = b"echo"
    return message


def response():
    message = Message(code=codes.NOT_FOUND, payload=b"no such thing")
    message.opt.etag = b"\x01\x02"
    message.opt.max_age = 5
    return message


def exchange(client_id, server_id, id_context, client_number, server_number):
    client = Context(client_id, server_id, id_context, client_number)
    server = Context(server_id, client_id, id_context, server_number)
    plain = wire(request(), types.CON)
    sent, _ = client.protect(request())
    sent_wire = wire(sent, types.CON)
    received = Message.decode(bytes.fromhex(sent_wire))
    received.direction = Direction.INCOMING
    _, identifiers = server.unprotect(received)
    answers = [server.protect(response(), identifiers)[0] for _ in range(2)]
    return {
        "clientId": client_id.hex(),
        "serverId": server_id.hex(),
        "idContext": None if id_context is None else id_context.hex(),
        "clientNumber": client_number,
        "serverNumber": server_number,
        "request": plain,
        "protectedRequest": sent_wire,
        "response": wire(response(), types.ACK),
        "protectedResponses": [wire(answer, types.ACK) for answer in answers],
    }


print(
    json.dumps(
        {
            "source": "aiocoap 0.4.17",
            "masterSecret": SECRET.hex(),
            "masterSalt": SALT.hex(),
            "exchanges": [
                exchange(b"", b"\x01", None, 0, 0),
                exchange(bytes.fromhex("aabbccddeeff00"), b"\x01", None, 70000, 2**32),
                exchange(b"\x01", b"", bytes.fromhex("37cbf3210017a2d3"), 2**39 + 5, 255),
                exchange(b"a", b"bb", b"", 256, 65536),
            ],
        },
        indent=2,
    )
)
