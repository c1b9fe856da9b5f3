#!/usr/bin/env python3
"""Writes vectors/edhoc-x25519.json: EDHOC in suites 0 and 1 where a side has a static key of X25519 in
an X.509 certificate (methods 1 to 3). A model of RFC 9528 on the `cryptography` package; nothing of
countersign's code takes part. Before it writes anything, it makes the handshakes of method 0 in
vectors/edhoc-x509.json, which are of another implementation, and compares every message.

  python3 -m venv venv && venv/bin/pip install cryptography==50.0.2 cbor2==6.3.0
  venv/bin/python vectors/make/edhoc-x25519.py > vectors/edhoc-x25519.json

Nothing in it is drawn, so that a run changes nothing. Test keys only.
"""
import datetime
import hashlib
import hmac
import json
import pathlib

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

SUITES = {0: {"tag": 8, "mac": 8}, 1: {"tag": 16, "mac": 16}}
SIGNS = {0: (True, True), 1: (True, False), 2: (False, True), 3: (False, False)}
HASH = 32
# A server's static key for EDHOC, as core/credential/roles.ts names it.
AGREES = ObjectIdentifier("2.25.70566220933101651007110555231231935521.6")
CERTIFICATES = pathlib.Path(__file__).parent.parent / "edhoc-x509.json"


def sha(data):
    return hashlib.sha256(data).digest()


def extract(salt, key):
    return hmac.new(salt, key, hashlib.sha256).digest()


def kdf(prk, label, context, length):
    info = cbor2.dumps(label) + cbor2.dumps(context) + cbor2.dumps(length)
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out, count = out + block, count + 1
    return out[:length]


def private(key):
    return X25519PrivateKey.from_private_bytes(key)


def public(key):
    return private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def agree(key, share):
    return private(key).exchange(X25519PublicKey.from_public_bytes(share))


def identifier(value):
    """RFC 9528 §3.3.2: one byte that is an integer of CBOR travels as it is."""
    if len(value) == 1 and (value[0] <= 0x17 or 0x20 <= value[0] <= 0x37):
        return value
    return cbor2.dumps(value)


def x5t(certificate):
    return cbor2.dumps({34: [-15, sha(certificate)[:8]]})


def proof(signs, key, id_cred, th, cred, mac):
    """Signature_or_MAC (RFC 9528 §5.3.2)."""
    if not signs:
        return mac
    structure = cbor2.dumps(["Signature1", id_cred, cbor2.dumps(th) + cred, mac])
    return Ed25519PrivateKey.from_private_bytes(key).sign(structure)


def handshake(method, suite, x, y, c_i, c_r, initiator, responder):
    signs_i, signs_r = SIGNS[method]
    sizes = SUITES[suite]
    cred_i, cred_r = cbor2.dumps(initiator["cert"]), cbor2.dumps(responder["cert"])
    id_i, id_r = x5t(initiator["cert"]), x5t(responder["cert"])
    g_x, g_y = public(x), public(y)

    message_1 = cbor2.dumps(method) + cbor2.dumps(suite) + cbor2.dumps(g_x) + identifier(c_i)
    th_2 = sha(cbor2.dumps(g_y) + cbor2.dumps(sha(message_1)))
    prk_2e = extract(th_2, agree(x, g_y))
    prk_3e2m = prk_2e
    if not signs_r:
        prk_3e2m = extract(kdf(prk_2e, 1, th_2, HASH), agree(responder["key"], g_x))
    context_2 = identifier(c_r) + id_r + cbor2.dumps(th_2) + cred_r
    mac_2 = kdf(prk_3e2m, 2, context_2, HASH if signs_r else sizes["mac"])
    proof_2 = proof(signs_r, responder["key"], id_r, th_2, cred_r, mac_2)
    plaintext_2 = identifier(c_r) + id_r + cbor2.dumps(proof_2)
    keystream = kdf(prk_2e, 0, th_2, len(plaintext_2))
    message_2 = cbor2.dumps(g_y + bytes(a ^ b for a, b in zip(plaintext_2, keystream)))

    th_3 = sha(cbor2.dumps(th_2) + plaintext_2 + cred_r)
    prk_4e3m = prk_3e2m
    if not signs_i:
        prk_4e3m = extract(kdf(prk_3e2m, 5, th_3, HASH), agree(initiator["key"], g_y))
    context_3 = id_i + cbor2.dumps(th_3) + cred_i
    mac_3 = kdf(prk_4e3m, 6, context_3, HASH if signs_i else sizes["mac"])
    proof_3 = proof(signs_i, initiator["key"], id_i, th_3, cred_i, mac_3)
    plaintext_3 = id_i + cbor2.dumps(proof_3)
    message_3 = seal(sizes, kdf(prk_3e2m, 3, th_3, 16), kdf(prk_3e2m, 4, th_3, 13), th_3, plaintext_3)

    th_4 = sha(cbor2.dumps(th_3) + plaintext_3 + cred_i)
    message_4 = seal(sizes, kdf(prk_4e3m, 8, th_4, 16), kdf(prk_4e3m, 9, th_4, 13), th_4, b"")
    exporter = kdf(kdf(prk_4e3m, 7, th_4, HASH), 10, b"", HASH)
    return {
        "message_1": message_1.hex(),
        "message_2": message_2.hex(),
        "message_3": message_3.hex(),
        "message_4": message_4.hex(),
        "oscore_master_secret": kdf(exporter, 0, b"", 16).hex(),
        "oscore_master_salt": kdf(exporter, 1, b"", 8).hex(),
        "intermediate": {"PLAINTEXT_2": plaintext_2.hex(), "PLAINTEXT_3": plaintext_3.hex()},
    }


def seal(sizes, key, nonce, th, plaintext):
    aad = cbor2.dumps(["Encrypt0", b"", th])
    return cbor2.dumps(AESCCM(key, tag_length=sizes["tag"]).encrypt(nonce, plaintext, aad))


def check_model():
    known = json.loads(CERTIFICATES.read_text())
    checked = 0
    for vector in known["vectors"]:
        if vector["suite"] not in SUITES or vector["id_cred"] != "x5t":
            continue
        pki = known["pki"][vector["pki"]]
        side = lambda cert, key: {"cert": bytes.fromhex(pki[cert]), "key": bytes.fromhex(pki[key])}
        names = [bytes.fromhex(vector[name]) for name in ("X", "Y", "C_I", "C_R")]
        sides = side("cred_i", "SK_I"), side("cred_r", "SK_R")
        made = handshake(vector["method"], vector["suite"], *names, *sides)
        for name, value in made.items():
            expected = vector[name]
            assert value == expected if isinstance(value, str) else value.items() <= expected.items(), name
        checked += 1
    assert checked == 2


def secret(name):
    return sha(b"countersign edhoc-x25519 " + name.encode())


def certificate(serial, subject, key, usage, issuer_key, issuer_name):
    """Of the key under the issuing CA; of the CA under itself."""
    is_ca = usage == "ca"
    issuer = Ed25519PrivateKey.from_private_bytes(issuer_key)
    flags = {name: False for name in (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")}
    flags["key_cert_sign" if is_ca else usage] = True
    name = lambda text, oid: x509.Name([x509.NameAttribute(oid, text)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject, NameOID.COMMON_NAME if is_ca else NameOID.SERIAL_NUMBER))
        .issuer_name(name(issuer_name, NameOID.COMMON_NAME))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(datetime.datetime(2026, 1, 1))
        .not_valid_after(datetime.datetime(2046, 1, 1))
        .add_extension(x509.KeyUsage(**flags), critical=True)
    )
    if is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        identifier_of = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
        builder = builder.add_extension(identifier_of, critical=False)
    else:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
        builder = builder.add_extension(authority, critical=False)
    if usage == "key_agreement":
        builder = builder.add_extension(x509.ExtendedKeyUsage([AGREES]), critical=False)
    return builder.sign(issuer, None).public_bytes(Encoding.DER)


def main():
    check_model()
    ca_key = secret("issuing CA")
    ca_public = Ed25519PrivateKey.from_private_bytes(ca_key).public_key()
    ca_name = "Factory 25519"
    ica = certificate(1, ca_name, ca_public, "ca", ca_key, ca_name)

    def party(serial, name, signs):
        key = secret(f"{name} {'signs' if signs else 'agrees'}")
        own = Ed25519PrivateKey.from_private_bytes(key) if signs else private(key)
        usage = "digital_signature" if signs else "key_agreement"
        return {"key": key, "cert": certificate(serial, name, own.public_key(), usage, ca_key, ca_name)}

    sides = {
        "I": {True: party(2, "0011223344556677", True), False: party(3, "0011223344556677", False)},
        "R": {True: party(4, "server", True), False: party(5, "server", False)},
    }
    pki, vectors = {}, []
    for method in (1, 2, 3):
        signs_i, signs_r = SIGNS[method]
        initiator, responder = sides["I"][signs_i], sides["R"][signs_r]
        pki[f"x25519-m{method}"] = {
            "cred_i": initiator["cert"].hex(), "SK_I": initiator["key"].hex(),
            "cred_r": responder["cert"].hex(), "SK_R": responder["key"].hex(), "ica": ica.hex(),
        }
        for suite in SUITES:
            x, y = secret(f"X {method} {suite}"), secret(f"Y {method} {suite}")
            made = handshake(method, suite, x, y, b"\x2d", b"\x18", initiator, responder)
            vectors.append({
                "id": f"m{method}-s{suite}-x25519", "method": method, "suite": suite, "id_cred": "x5t",
                "pki": f"x25519-m{method}", "X": x.hex(), "Y": y.hex(), "C_I": "2d", "C_R": "18", **made,
            })
    print(json.dumps({"pki": pki, "vectors": vectors}, indent=1))


main()
