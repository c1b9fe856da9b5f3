"""EDHOC by lakers (method 3, suite 2, claims sets by kid) as one side of a handshake.

A line in, a line out, each a JSON object; bytes in hex. What lakers throws is {"error": …}.
"""
import json
import sys
from importlib.metadata import version

from lakers import CredentialTransfer, EADItem, EdhocInitiator, EdhocResponder


def items_in(items):
    return [EADItem(e["label"], e["critical"], e["value"] and bytes.fromhex(e["value"])) for e in items]


def items_out(items):
    return [
        {"label": e.label(), "critical": e.is_critical(), "value": e.value() and bytes(e.value()).hex()}
        for e in items
    ]


class Side:
    def __init__(self):
        self.edhoc = None

    def version(self, _):
        return {"version": version("lakers-python")}

    def initiator(self, given):
        self.key, self.cred = bytes.fromhex(given["key"]), bytes.fromhex(given["cred"])
        self.edhoc = EdhocInitiator()
        return {}

    def responder(self, given):
        self.edhoc = EdhocResponder(bytes.fromhex(given["key"]), bytes.fromhex(given["cred"]))
        return {}

    # The initiator's

    def write_1(self, given):
        cid, ead = bytes.fromhex(given["cid"]), items_in(given["ead"])
        return {"message": self.edhoc.prepare_message_1(cid, ead).hex()}

    def read_2(self, given):
        cid, reference, ead = self.edhoc.parse_message_2(bytes.fromhex(given["message"]))
        return {"cid": cid.hex(), "reference": reference.hex(), "ead": items_out(ead)}

    def trust_2(self, given):
        self.edhoc.verify_message_2(self.key, self.cred, bytes.fromhex(given["cred"]))
        return {}

    def write_3(self, given):
        message, _ = self.edhoc.prepare_message_3(transfer(given), items_in(given["ead"]))
        return {"message": message.hex()}

    def read_4(self, given):
        return {"ead": items_out(self.edhoc.process_message_4(bytes.fromhex(given["message"])))}

    # The responder's

    def read_1(self, given):
        cid, ead = self.edhoc.process_message_1(bytes.fromhex(given["message"]))
        return {"cid": cid.hex(), "ead": items_out(ead)}

    def write_2(self, given):
        cid, ead = bytes.fromhex(given["cid"]), items_in(given["ead"])
        return {"message": self.edhoc.prepare_message_2(transfer(given), cid, ead).hex()}

    def read_3(self, given):
        reference, ead = self.edhoc.parse_message_3(bytes.fromhex(given["message"]))
        return {"reference": reference.hex(), "ead": items_out(ead)}

    def trust_3(self, given):
        self.edhoc.verify_message_3(bytes.fromhex(given["cred"]))
        return {}

    def write_4(self, given):
        return {"message": self.edhoc.prepare_message_4(items_in(given["ead"])).hex()}

    # Of both

    def export(self, given):
        context = bytes.fromhex(given["context"])
        return {"bytes": bytes(self.edhoc.edhoc_exporter(given["label"], context, given["length"])).hex()}

    def update(self, given):
        self.edhoc.edhoc_key_update(bytes.fromhex(given["context"]))
        return {}


def transfer(given):
    return CredentialTransfer.ByValue if given.get("byValue") else CredentialTransfer.ByReference


side = Side()
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = getattr(side, asked["do"])(asked)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
