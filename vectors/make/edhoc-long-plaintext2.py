#!/usr/bin/env python3
"""Writes vectors/edhoc-long-plaintext2.json: KEYSTREAM_2 in several parts (RFC 9528 Appendix G), from
TH_2 and G_XY of RFC 9529 §3. Nothing of countersign's code takes part.

  python3 vectors/make/edhoc-long-plaintext2.py > vectors/edhoc-long-plaintext2.json
"""
import hashlib
import hmac
import json
import pathlib

HERE = pathlib.Path(__file__).parent
TRACES = json.loads((HERE / "../edhoc-rfc9529.json").read_text())["traces"]
STEPS = next(trace for trace in TRACES if trace["id"] == "rfc9529-3")["steps"]


def printed(name):
    return bytes.fromhex([s for s in STEPS if s["name"] == name and (s["kind"] or "Raw Value") == "Raw Value"][-1]["hex"])


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    if number < 256:
        return bytes([major << 5 | 24, number])
    return bytes([major << 5 | 25]) + number.to_bytes(2, "big")


def expand(prk, info, length):
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), "sha256").digest()
        out, count = out + block, count + 1
    return out[:length]


def keystream(prk, th, length):
    most, out, part = 255 * 32, b"", 0
    while len(out) < length:
        size = min(most, length - len(out))
        label = head(0, 0) if part == 0 else head(1, part - 1)
        out += expand(prk, label + head(2, len(th)) + th + head(0, size), size)
        part += 1
    return out


TH_2, G_XY = printed("TH_2"), printed("G_XY")
PRK_2E = hmac.new(TH_2, G_XY, "sha256").digest()
assert PRK_2E == printed("PRK_2e")
CASES = []
for length in (8159, 8160, 8161, 16000, 16320, 16321, 20000):
    stream = keystream(PRK_2E, TH_2, length)
    CASES.append({"length": length, "end": stream[-16:].hex(), "sha256": hashlib.sha256(stream).hexdigest()})
print(json.dumps({"source": "RFC 9528 Appendix G, with hmac of Python", "TH_2": TH_2.hex(), "G_XY": G_XY.hex(), "cases": CASES}, indent=1))
