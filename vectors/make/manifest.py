#!/usr/bin/env python3
"""Writes vectors/manifest.json: manifests of secure elements in the form of the Trust Platform (versions
1 to 3), signed here with the `cryptography` package; no data of real parts. Nothing of countersign's
code takes part.

  python3 vectors/make/manifest.py > vectors/manifest.json

Keys are SHA-256 of their names and signatures are deterministic (RFC 6979), so that a run changes
nothing.
"""
import base64
import datetime
import hashlib
import hmac
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EMULATOR = "2.25.70566220933101651007110555231231935521.8"


def key(name):
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % (ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def coordinates(private):
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


def es256(private, text):
    der = private.sign(text, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def certificate(name, private, issuer, issuer_key, number, is_ca=False, purpose=None, end=None):
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    identifier = lambda one: x509.SubjectKeyIdentifier.from_public_key(one.public_key()).digest
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(private.public_key())
        .serial_number(number)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(end or datetime.datetime(2045, 1, 1))
        .add_extension(x509.BasicConstraints(is_ca, None), True)
        .add_extension(x509.SubjectKeyIdentifier(identifier(private)), False)
        .add_extension(
            x509.AuthorityKeyIdentifier(identifier(issuer_key), None, None), False
        )
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose)]), False)
    made = builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
    return made


def der(one):
    return one.public_bytes(serialization.Encoding.DER)


def key_id(one):
    return one.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


SIGNER = key("manifest signer")
SIGNER_CERTIFICATE = certificate("manifest signer", SIGNER, "manifest root", key("manifest root"), 0x51)
STRANGER = key("manifest stranger")
STRANGER_CERTIFICATE = certificate("stranger", STRANGER, "stranger", STRANGER, 0x52)
EMULATOR_SIGNER = key("emulator manifest signer")
EMULATOR_CERTIFICATE = certificate(
    "works", EMULATOR_SIGNER, "works", EMULATOR_SIGNER, 0x53, purpose=EMULATOR
)
PART_SIGNER = key("part signer")
PART_SIGNER_CERTIFICATE = certificate("part signer", PART_SIGNER, "part root", key("part root"), 0x54, True)


def jwk(serial, slot, chained=False, **more):
    private = key(f"{serial} slot {slot}")
    x, y = coordinates(private)
    made = {"kid": str(slot), "kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)}
    if chained:
        leaf = certificate(f"sn{serial}", private, "part signer", PART_SIGNER, 0x600 + slot)
        made["x5c"] = [
            base64.b64encode(der(one)).decode() for one in (leaf, PART_SIGNER_CERTIFICATE)
        ]
    made.update(more)
    return made


def payload(serial, version=3, keys=None, **more):
    made = {
        "version": version,
        "model": "ATECC608B",
        "partNumber": "ATECC608B-TNGTLSU-B",
        "manufacturer": {"organizationName": "Example Maker", "organizationalUnitName": "Parts"},
        "provisioner": {"organizationName": "Example Maker", "organizationalUnitName": "Parts"},
        "distributor": {"organizationName": "Example Maker", "organizationalUnitName": "Parts"},
        "groupId": "359SCE55NV38H3CB",
        "provisioningTimestamp": "2025-06-01T12:30:00.123Z",
        "uniqueId": serial,
        "publicKeySet": {"keys": keys if keys is not None else [
            jwk(serial, 0, True), jwk(serial, 1), jwk(serial, 2), jwk(serial, 3), jwk(serial, 4)
        ]},
    }
    made.update(more)
    return {name: value for name, value in made.items() if value is not None}


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def parts(body, private=SIGNER, by=SIGNER_CERTIFICATE, **more):
    header = {
        "typ": "JWT",
        "alg": "ES256",
        "kid": b64u(key_id(by)),
        "x5t#S256": b64u(by.fingerprint(hashes.SHA256())),
    }
    header.update(more)
    header = {name: value for name, value in header.items() if value is not None}
    protected = b64u(compact(header).encode())
    text = b64u(body if isinstance(body, bytes) else compact(body).encode())
    return protected, text, f"{protected}.{text}".encode(), private


def flattened(body, unique=None, **more):
    protected, text, signed, private = parts(body, **more)
    return {
        "payload": text,
        "protected": protected,
        "header": {"uniqueId": unique or body["uniqueId"]},
        "signature": b64u(es256(private, signed)),
    }


def general(body, **more):
    flat = flattened(body, **more)
    payload_text = flat.pop("payload")
    return {"payload": payload_text, "signatures": [flat]}


A, B, C = "0123010203040506ee", "012311121314151601", "0123aabbccddeeffee"


def hs256(body):
    """Signed with the bytes of the certificate as a shared secret: the classic confusion."""
    protected, text, signed, _ = parts(body, alg="HS256")
    mac = hmac.new(der(SIGNER_CERTIFICATE), signed, hashlib.sha256).digest()
    return {"payload": text, "protected": protected, "header": {"uniqueId": A}, "signature": b64u(mac + mac)}


def unsigned(body):
    made = flattened(body, alg="none")
    return {**made, "signature": ""}


def swapped():
    """Header and signature of one element around the payload of another."""
    one, two = flattened(payload(A)), flattened(payload(B))
    return {**one, "payload": two["payload"], "header": two["header"]}


def bent(text):
    return ("B" if text[0] == "A" else "A") + text[1:]


def hostile():
    good = payload(A)
    flat = flattened(good)
    twice = compact(good).replace('"uniqueId"', f'"uniqueId":"{A}","uniqueId"', 1).encode()
    keys = [jwk(A, 0), jwk(A, 1)]
    alter = lambda **more: flattened(payload(A, keys=[jwk(A, 0, True, **more)]))
    leaf_of_other = jwk(A, 1, True)["x5c"]
    wrong_issuer = [jwk(A, 0, True)["x5c"][0], base64.b64encode(der(STRANGER_CERTIFICATE)).decode()]
    return {
        "a signature with one bit changed": ("SIGNATURE", {**flat, "signature": bent(flat["signature"])}),
        "a payload of another element": ("SIGNATURE", swapped()),
        "signed by another key": ("SIGNATURE", flattened(good, private=STRANGER)),
        "an unknown signer": (
            "SIGNER", flattened(good, private=STRANGER, by=STRANGER_CERTIFICATE)
        ),
        "the thumbprint of the signer and the kid of another": (
            "SIGNER", flattened(good, kid=b64u(key_id(STRANGER_CERTIFICATE)))
        ),
        "provisioned before the signer was": (
            "SIGNER", flattened(payload(A, provisioningTimestamp="2019-01-01T00:00:00.000Z"))
        ),
        "another uniqueId in the header": ("SUBJECT", flattened(good, unique=B)),
        "alg none": ("MALFORMED", unsigned(good)),
        "alg HS256": ("MALFORMED", hs256(good)),
        "alg ES384": ("MALFORMED", flattened(good, alg="ES384")),
        "no alg": ("MALFORMED", flattened(good, alg=None)),
        "no kid": ("MALFORMED", flattened(good, kid=None)),
        "no thumbprint": ("MALFORMED", flattened(good, **{"x5t#S256": None})),
        "a critical parameter": ("MALFORMED", flattened(good, crit=["b64"], b64=False)),
        "alg in the unprotected header": (
            "MALFORMED", {**flat, "header": {"uniqueId": A, "alg": "ES256"}}
        ),
        "two signatures": (
            "MALFORMED", {**general(good), "signatures": general(good)["signatures"] * 2}
        ),
        "flattened and general": ("MALFORMED", {**flat, **general(good)}),
        "padding in base64url": ("MALFORMED", {**flat, "signature": flat["signature"] + "=="}),
        "a member twice in the payload": ("MALFORMED", flattened(twice, unique=A)),
        "a slot twice": ("MALFORMED", flattened(payload(A, keys=keys + [jwk(A, 1)]))),
        "a key twice": (
            "MALFORMED", flattened(payload(A, keys=keys + [{**jwk(A, 1), "kid": "2"}]))
        ),
        "a slot that there is not": ("MALFORMED", alter(kid="16")),
        "a point beside the curve": ("MALFORMED", alter(y=b64u(bytes(32)))),
        "a private key": ("MALFORMED", alter(d=b64u(bytes(32)))),
        "another curve": ("MALFORMED", alter(crv="P-384")),
        "a coordinate of 31 bytes": ("MALFORMED", alter(x=b64u(bytes(31)))),
        "a certificate of another key": ("MALFORMED", alter(x5c=leaf_of_other)),
        "a certificate by another issuer": ("MALFORMED", alter(x5c=wrong_issuer)),
        "a certificate that is none": ("MALFORMED", alter(x5c=["AAAA"])),
        "version 4": ("MALFORMED", flattened(payload(A, version=4))),
        "a uniqueId in upper case": ("MALFORMED", flattened(payload("0123AABBCCDDEEFFEE"))),
        "no uniqueId": ("MALFORMED", flattened(payload(A, uniqueId=None), unique=A)),
        "a time without a zone": (
            "MALFORMED", flattened(payload(A, provisioningTimestamp="2025-06-01T12:30:00"))
        ),
        "a payload that is a list": ("MALFORMED", flattened(b"[]", unique=A)),
        "a payload that is no UTF-8": ("MALFORMED", flattened(b'{"a":"\xff"}', unique=A)),
    }


def main():
    v1 = payload(A, 1, encryptedSecretKeySet={"keys": []}, distributer="Example")
    files = {
        "version 1": [flattened(v1)],
        "version 2, an identity alone": [flattened(payload(B, 2, publicKeySet=None))],
        "version 3": [flattened(payload(C, 3, modelInfo={"deviceRevision": "00006003"}))],
        "general": [general(payload(A))],
        "one alone": general(payload(A)),
        "three": [flattened(payload(one)) for one in (A, B, C)],
        "the same element signed of another content": [
            flattened(payload(A, groupId="ANOTHER"))
        ],
        "an unknown part": [flattened(payload(A, partNumber="ATECC608B-TCSM"))],
        "an emulator": [flattened(payload(A), private=EMULATOR_SIGNER, by=EMULATOR_CERTIFICATE)],
    }
    document = {
        "source": "vectors/make/manifest.py",
        "signer": der(SIGNER_CERTIFICATE).hex(),
        "stranger": der(STRANGER_CERTIFICATE).hex(),
        "emulatorSigner": der(EMULATOR_CERTIFICATE).hex(),
        "serials": [A, B, C],
        "points": {
            str(slot): b"".join(coordinates(key(f"{A} slot {slot}"))).hex() for slot in range(5)
        },
        # PKCS#8 of the element's own keys: what a test enrols with.
        "privateKeys": {
            str(slot): key(f"{A} slot {slot}").private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).hex()
            for slot in (0, 1)
        },
        "files": {name: compact(value) for name, value in files.items()},
        "hostile": {
            name: {"code": f"ERR_MANIFEST_{code}", "file": compact([value])}
            for name, (code, value) in hostile().items()
        },
        "twice": compact([flattened(payload(A)), flattened(payload(A))]),
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
