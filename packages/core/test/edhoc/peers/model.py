"""EDHOC (RFC 9528) a second time, in Python on `cryptography`, written from the RFC alone: both
roles, methods 0 to 3, suites 0 to 6, certificates and claims sets.

  python model.py                    one side of a handshake: a line in, a line out, as lakersPeer.py
  python model.py check A.json B.json  recomputes vectors: edhoc-x509.json, edhoc-rfc9529.json
"""
import hashlib
import hmac
import io
import json
import sys

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

# §3.6: AEAD, its key, nonce and tag, MAC length, curve, signature.
SUITES = {
    0: ("ccm", 16, 13, 8, 8, "x25519", "eddsa"),
    1: ("ccm", 16, 13, 16, 16, "x25519", "eddsa"),
    2: ("ccm", 16, 13, 8, 8, "p256", "es256"),
    3: ("ccm", 16, 13, 16, 16, "p256", "es256"),
    4: ("chacha", 32, 12, 16, 16, "x25519", "eddsa"),
    5: ("chacha", 32, 12, 16, 16, "p256", "es256"),
    6: ("gcm", 16, 12, 16, 16, "x25519", "es256"),
}
HASH = 32
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def enc(value):
    return cbor2.dumps(value, canonical=True)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def extract(salt, ikm):
    return hmac.new(salt, ikm, "sha256").digest()


def kdf(prk, label, context, length):
    info, out, block = enc(label) + enc(context) + enc(length), b"", b""
    for count in range(1, -(-length // HASH) + 1):
        block = hmac.new(prk, block + info + bytes([count]), "sha256").digest()
        out += block
    return out[:length]


def xor(a, b):
    assert len(a) == len(b)
    return bytes(x ^ y for x, y in zip(a, b))


def short(identifier):
    """bstr_identifier, §3.3.2: one byte that is a CBOR integer travels as it."""
    one = len(identifier) == 1 and (identifier[0] < 0x18 or 0x20 <= identifier[0] < 0x38)
    return identifier if one else enc(identifier)


def unshort(item):
    return item if isinstance(item, bytes) else enc(item)


def items_of(data):
    stream, found = io.BytesIO(data), []
    while stream.tell() < len(data):
        found.append(cbor2.load(stream))
    return found


def ead_in(items):
    """From the lines to a sequence."""
    return b"".join(
        enc(-e["label"] if e["critical"] else e["label"]) + (enc(bytes.fromhex(e["value"])) if e["value"] is not None else b"")
        for e in items
    )


def ead_out(items):
    found = []
    for item in items:
        if isinstance(item, bytes):
            found[-1]["value"] = item.hex()
        else:
            found.append({"label": abs(item), "critical": item < 0, "value": None})
    return found


# Keys


def p256(private):
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())


def point(x):
    """Compact representation, §3.7: either y will do."""
    n = int.from_bytes(x, "big")
    if n >= P:
        raise ValueError("x is not below the prime")
    y = pow(n**3 - 3 * n + B, (P + 1) // 4, P)
    # Throws for a point that is not on the curve.
    return ec.EllipticCurvePublicNumbers(n, y, ec.SECP256R1()).public_key()


class Curve:
    def __init__(self, name):
        self.name = name

    def share(self, private):
        if self.name == "x25519":
            return x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
        return p256(private).public_key().public_numbers().x.to_bytes(32, "big")

    def agree(self, private, share):
        if self.name == "x25519":
            key = x25519.X25519PrivateKey.from_private_bytes(private)
            return key.exchange(x25519.X25519PublicKey.from_public_bytes(share))
        return p256(private).exchange(ec.ECDH(), point(share))


def public_key(cred):
    """Of a certificate, or of a claims set: cnf, COSE_Key."""
    item = cbor2.loads(cred)
    if isinstance(item, bytes):
        return x509.load_der_x509_certificate(item).public_key()
    key = item[8][1]
    return point(key[-2]) if key[1] == 2 else x25519.X25519PublicKey.from_public_bytes(key[-2])


def static_share(cred):
    key = public_key(cred)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_numbers().x.to_bytes(32, "big")
    return key.public_bytes_raw()


def sign(algorithm, private, data):
    if algorithm == "eddsa":
        return ed25519.Ed25519PrivateKey.from_private_bytes(private).sign(data)
    made = p256(private).sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(made))


def verify(algorithm, key, data, signature):
    if algorithm == "eddsa":
        return key.verify(signature, data)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))


class Side:
    """One handshake. Which of the two it is follows from what it is asked."""

    def begin(self, role, given):
        self.role = role
        self.key, self.cred, self.id_cred = (bytes.fromhex(given[k]) for k in ("key", "cred", "idCred"))
        self.ephemeral = bytes.fromhex(given["ephemeral"])
        self.offered = given.get("suites", [])
        self.method = given.get("method")

    def settle(self, method, suite):
        self.method = method
        self.i_signs, self.r_signs = method in (0, 1), method in (0, 2)
        self.aead, self.key_length, self.iv_length, self.tag, self.mac_length, curve, self.signature = SUITES[suite]
        self.curve = Curve(curve)

    def mac_size(self, signs):
        return HASH if signs else self.mac_length

    def cipher(self, key):
        if self.aead == "ccm":
            return AESCCM(key, tag_length=self.tag)
        return AESGCM(key) if self.aead == "gcm" else ChaCha20Poly1305(key)

    def keystream_2(self, length):
        """Appendix G, of which the usual is the case with one part."""
        whole, parts = 255 * HASH, []
        for i in range(-(-length // whole)):
            parts.append(kdf(self.prk_2e, -i, self.th_2, min(whole, length - i * whole)))
        return b"".join(parts)

    def compact(self, id_cred):
        decoded = cbor2.loads(id_cred)
        return short(decoded[4]) if list(decoded) == [4] else id_cred

    def to_be_signed(self, id_cred, th, cred, ead, mac):
        return enc(["Signature1", id_cred, enc(th) + cred + ead, mac])

    def prove(self, signs, id_cred, th, cred, ead, mac):
        if not signs:
            return mac
        return sign(self.signature, self.key, self.to_be_signed(id_cred, th, cred, ead, mac))

    def check(self, signs, id_cred, th, cred, ead, mac, proof):
        if signs:
            verify(self.signature, public_key(cred), self.to_be_signed(id_cred, th, cred, ead, mac), proof)
        elif mac != proof:
            raise ValueError("the MAC differs")

    def plaintext(self, items):
        """(ID_CRED_x, Signature_or_MAC_x, EAD_x)"""
        name, proof, *ead = items
        id_cred = enc(name) if isinstance(name, dict) else enc({4: unshort(name)})
        return id_cred, proof, ead

    # message_1

    def write_1(self, given):
        selected = self.offered[-1]
        self.settle(self.method, selected)
        suites = self.offered if len(self.offered) > 1 else selected
        self.c_i = bytes.fromhex(given["cid"])
        self.message_1 = (
            enc(self.method) + enc(suites) + enc(self.curve.share(self.ephemeral)) + short(self.c_i) + ead_in(given["ead"])
        )
        return self.message_1

    def read_1(self, message):
        self.message_1 = message
        method, suites, self.g_peer, c_i, *ead = items_of(message)
        self.settle(method, suites[-1] if isinstance(suites, list) else suites)
        self.c_i = unshort(c_i)
        return self.c_i, ead_out(ead)

    # message_2

    def after_ephemerals(self, g_y):
        self.th_2 = sha(enc(g_y), enc(sha(self.message_1)))
        self.prk_2e = extract(self.th_2, self.curve.agree(self.ephemeral, self.g_peer))

    def with_r(self, g_rx):
        """PRK_3e2m; g_rx is a function, since there is none where R signs."""
        if self.r_signs:
            self.prk_3e2m = self.prk_2e
        else:
            self.prk_3e2m = extract(kdf(self.prk_2e, 1, self.th_2, HASH), g_rx())

    def mac_2(self, cred, id_cred, ead):
        context = short(self.c_r) + id_cred + enc(self.th_2) + cred + ead
        return kdf(self.prk_3e2m, 2, context, self.mac_size(self.r_signs))

    def after_2(self, plaintext_2, cred_r):
        self.th_3 = sha(enc(self.th_2), plaintext_2, cred_r)

    def write_2(self, given):
        self.c_r, ead = bytes.fromhex(given["cid"]), ead_in(given["ead"])
        g_y = self.curve.share(self.ephemeral)
        self.after_ephemerals(g_y)
        self.with_r(lambda: self.curve.agree(self.key, self.g_peer))
        mac = self.mac_2(self.cred, self.id_cred, ead)
        proof = self.prove(self.r_signs, self.id_cred, self.th_2, self.cred, ead, mac)
        plaintext = short(self.c_r) + self.compact(self.id_cred) + enc(proof) + ead
        self.after_2(plaintext, self.cred)
        return enc(g_y + xor(plaintext, self.keystream_2(len(plaintext))))

    def read_2(self, message):
        (both,) = items_of(message)
        g_y, ciphertext = both[:32], both[32:]
        self.g_peer = g_y
        self.after_ephemerals(g_y)
        self.plaintext_2 = xor(ciphertext, self.keystream_2(len(ciphertext)))
        c_r, *rest = items_of(self.plaintext_2)
        self.c_r = unshort(c_r)
        self.read = self.plaintext(rest)
        return self.c_r, self.read[0], ead_out(self.read[2])

    def trust_2(self, cred):
        id_cred, proof, ead = self.read
        self.with_r(lambda: self.curve.agree(self.ephemeral, static_share(cred)))
        encoded = b"".join(enc(e) for e in ead)
        mac = self.mac_2(cred, id_cred, encoded)
        self.check(self.r_signs, id_cred, self.th_2, cred, encoded, mac, proof)
        self.after_2(self.plaintext_2, cred)

    # message_3

    def with_i(self, g_iy):
        if self.i_signs:
            self.prk_4e3m = self.prk_3e2m
        else:
            self.prk_4e3m = extract(kdf(self.prk_3e2m, 5, self.th_3, HASH), g_iy())

    def mac_3(self, cred, id_cred, ead):
        return kdf(self.prk_4e3m, 6, id_cred + enc(self.th_3) + cred + ead, self.mac_size(self.i_signs))

    def after_3(self, plaintext_3, cred_i):
        self.th_4 = sha(enc(self.th_3), plaintext_3, cred_i)
        self.prk_out = kdf(self.prk_4e3m, 7, self.th_4, HASH)

    def sealed(self, prk, labels, th):
        key, iv = kdf(prk, labels[0], th, self.key_length), kdf(prk, labels[1], th, self.iv_length)
        return self.cipher(key), iv, enc(["Encrypt0", b"", th])

    def write_3(self, given):
        ead = ead_in(given["ead"])
        self.with_i(lambda: self.curve.agree(self.key, self.g_peer))
        mac = self.mac_3(self.cred, self.id_cred, ead)
        proof = self.prove(self.i_signs, self.id_cred, self.th_3, self.cred, ead, mac)
        plaintext = self.compact(self.id_cred) + enc(proof) + ead
        cipher, iv, aad = self.sealed(self.prk_3e2m, (3, 4), self.th_3)
        self.after_3(plaintext, self.cred)
        return enc(cipher.encrypt(iv, plaintext, aad))

    def read_3(self, message):
        (ciphertext,) = items_of(message)
        cipher, iv, aad = self.sealed(self.prk_3e2m, (3, 4), self.th_3)
        self.plaintext_3 = cipher.decrypt(iv, ciphertext, aad)
        self.read = self.plaintext(items_of(self.plaintext_3))
        return self.read[0], ead_out(self.read[2])

    def trust_3(self, cred):
        id_cred, proof, ead = self.read
        self.with_i(lambda: self.curve.agree(self.ephemeral, static_share(cred)))
        encoded = b"".join(enc(e) for e in ead)
        mac = self.mac_3(cred, id_cred, encoded)
        self.check(self.i_signs, id_cred, self.th_3, cred, encoded, mac, proof)
        self.after_3(self.plaintext_3, cred)

    # message_4 and after

    def write_4(self, given):
        cipher, iv, aad = self.sealed(self.prk_4e3m, (8, 9), self.th_4)
        return enc(cipher.encrypt(iv, ead_in(given["ead"]), aad))

    def read_4(self, message):
        (ciphertext,) = items_of(message)
        cipher, iv, aad = self.sealed(self.prk_4e3m, (8, 9), self.th_4)
        return ead_out(items_of(cipher.decrypt(iv, ciphertext, aad)))

    def export(self, label, context, length):
        return kdf(kdf(self.prk_out, 10, b"", HASH), label, context, length)

    def update(self, context):
        self.prk_out = kdf(self.prk_out, 11, context, HASH)


# The lines


def answer(side, asked):
    do = asked["do"]
    if do in ("initiator", "responder"):
        side.begin(do, asked)
        return {}
    if do.startswith("write"):
        return {"message": getattr(side, do)(asked).hex()}
    if do.startswith("read"):
        found = getattr(side, do)(bytes.fromhex(asked["message"]))
        names = {"read_1": ("cid", "ead"), "read_2": ("cid", "reference", "ead"), "read_3": ("reference", "ead")}
        if do == "read_4":
            return {"ead": found}
        return {k: v.hex() if isinstance(v, bytes) else v for k, v in zip(names[do], found)}
    if do.startswith("trust"):
        getattr(side, do)(bytes.fromhex(asked["cred"]))
        return {}
    if do == "export":
        return {"bytes": side.export(asked["label"], bytes.fromhex(asked["context"]), asked["length"]).hex()}
    if do == "update":
        side.update(bytes.fromhex(asked["context"]))
        return {}
    raise ValueError(f"no step {do}")


def serve():
    side = Side()
    for line in sys.stdin:
        try:
            said = answer(side, json.loads(line))
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)


# Vectors


def run(I, R, method, suites, cids, none=()):
    i, r = Side(), Side()
    i.begin("initiator", {**I, "method": method, "suites": suites})
    r.begin("responder", R)
    messages = [i.write_1({"cid": cids[0], "ead": none})]
    r.read_1(messages[0])
    messages.append(r.write_2({"cid": cids[1], "ead": none}))
    i.read_2(messages[1])
    i.trust_2(r.cred)
    messages.append(i.write_3({"ead": none}))
    r.read_3(messages[2])
    r.trust_3(i.cred)
    messages.append(r.write_4({"ead": none}))
    i.read_4(messages[3])
    secrets = [[s.export(0, b"", 16).hex(), s.export(1, b"", 8).hex()] for s in (i, r)]
    assert secrets[0] == secrets[1]
    return [m.hex() for m in messages], secrets[0]


def check_x509(file):
    for v in file["vectors"]:
        pki = file["pki"][v["pki"]]

        def side(name, key, ephemeral):
            der = bytes.fromhex(pki[name])
            id_cred = {33: der} if v["id_cred"] == "x5chain1" else {34: [-15, sha(der)[:8]]}
            return {"key": pki[key], "cred": enc(der).hex(), "idCred": enc(id_cred).hex(), "ephemeral": ephemeral}

        messages, secrets = run(
            side("cred_i", "SK_I", v["X"]), side("cred_r", "SK_R", v["Y"]), v["method"], [v["suite"]], (v["C_I"], v["C_R"])
        )
        assert messages == [v[f"message_{n}"] for n in (1, 2, 3, 4)], v["id"]
        assert secrets == [v["oscore_master_secret"], v["oscore_master_salt"]], v["id"]
        yield v["id"]


def check_rfc9529(file):
    for trace in file["traces"]:

        def value(name, kind=None):
            kinds = (kind.lower(),) if kind else None
            steps = [s for s in trace["steps"] if s["name"] == name]
            return [s for s in steps if kinds is None or (s["kind"] or "").lower() in kinds][-1]["hex"]

        def side(name, ephemeral):
            return {
                "key": value(f"SK_{name}"),
                "cred": value(f"CRED_{name}", "CBOR Data Item"),
                "idCred": value(f"ID_CRED_{name}"),
                "ephemeral": value(ephemeral),
            }

        suites = [0] if trace["suite"] == 0 else [6, 2]
        cids = value("C_I", "Raw Value"), value("C_R", "Raw Value")
        messages, secrets = run(side("I", "X"), side("R", "Y"), trace["method"], suites, cids)
        assert messages == [value(f"message_{n}") for n in (1, 2, 3, 4)], trace["id"]
        assert secrets == [value("OSCORE Master Secret"), value("OSCORE Master Salt")], trace["id"]
        yield trace["id"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        for path in sys.argv[2:]:
            with open(path) as handle:
                loaded = json.load(handle)
            for name in (check_rfc9529 if "traces" in loaded else check_x509)(loaded):
                print(name)
    else:
        serve()
