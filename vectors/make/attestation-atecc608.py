#!/usr/bin/env python3
"""Writes vectors/attestation-atecc608.json: statements of an ATECC608 about its keys, composed byte by
byte here, with hashlib and the `cryptography` package. Nothing of countersign's code takes part.

  python3 vectors/make/attestation-atecc608.py > vectors/attestation-atecc608.json

Keys are SHA-256 of their names and signatures are deterministic (RFC 6979), so that a run changes
nothing. Statements that are wrong in one place are signed anew: their signature holds.
"""
import datetime
import hashlib
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ARC = "2.25.70566220933101651007110555231231935521"
ATTESTATION, EMULATOR = f"{ARC}.7", f"{ARC}.8"


def key(name):
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % (ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def point(private):
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def sign(private, message):
    der = private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def octets(tag, content):
    length = len(content)
    size = length.to_bytes(1 if length < 256 else 2, "big")
    head = size if length < 128 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + head + content


def evidence(nonce, slot, public, attestation_slot, message, signature, revision, rand_out=None):
    return octets(
        0x30,
        octets(0x02, b"\x01" if rand_out is None else b"\x02")
        + octets(0x04, nonce)
        + octets(0x02, bytes([slot]))
        + octets(0x04, public)
        + octets(0x02, bytes([attestation_slot]))
        + octets(0x04, message)
        + octets(0x04, signature)
        + octets(0x04, revision)
        + (b"" if rand_out is None else octets(0x04, rand_out)),
    )


def random_nonce(rand_out, nonce):
    """TempKey after a Nonce of mode 0 with the first 20 bytes of the verifier's nonce as its input."""
    return hashlib.sha256(rand_out + nonce[:20] + b"\x16\x00\x00").digest()


def gen_key_digest(nonce, slot, serial, public):
    text = nonce + b"\x40\x08" + bytes([slot, 0]) + serial[8:9] + serial[0:2] + bytes(25) + public
    assert len(text) == 128
    return hashlib.sha256(text).digest()


def message(digest, signer_slot, slot_config, key_config, flags, serial, unlocked):
    text = (
        digest
        + b"\x41\x40"
        + bytes([signer_slot, 0])
        + slot_config.to_bytes(2, "little")
        + key_config.to_bytes(2, "little")
        + bytes([flags])
        + b"\x00\x00"
        + serial[8:9]
        + serial[4:8]
        + serial[0:2]
        + serial[2:4]
        + bytes([1 if unlocked else 0])
        + b"\x00"
        + b"\x00"
    )
    assert len(text) == 55
    return text


def certificate(name, private, issuer_name, issuer_key, purposes, is_ca, serial_number, **more):
    def named(text):
        kind = NameOID.SERIAL_NUMBER if text.startswith("0123") else NameOID.COMMON_NAME
        return x509.Name([x509.NameAttribute(kind, text)])

    def identifier(public):
        return x509.SubjectKeyIdentifier.from_public_key(public).digest

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer_name))
        .public_key(private.public_key())
        .serial_number(serial_number)
        .not_valid_before(more.get("begin", datetime.datetime(2026, 1, 1)))
        .not_valid_after(more.get("end", datetime.datetime(9999, 12, 31, 23, 59, 59)))
        .add_extension(x509.BasicConstraints(is_ca, None), True)
        .add_extension(
            x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False), True
        )
        .add_extension(x509.SubjectKeyIdentifier(identifier(private.public_key())), False)
        .add_extension(
            x509.AuthorityKeyIdentifier(identifier(issuer_key.public_key()), None, None), False
        )
    )
    if purposes:
        oids = [x509.ObjectIdentifier(oid) for oid in purposes]
        builder = builder.add_extension(x509.ExtendedKeyUsage(oids), False)
    made = builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(serialization.Encoding.DER)


SERIAL = bytes.fromhex("0123456789abcdefee")
OTHER_SERIAL = bytes.fromhex("0123deadbeef0001ee")
NONCE = bytes(range(0x20, 0x40))
REVISION = bytes.fromhex("00006003")
device, attester, root = key("device"), key("attester"), key("root")
emulator_root, stranger = key("emulator root"), key("stranger")
middle, successor = key("middle"), key("successor")
SLOT, SIGNER_SLOT = 2, 1
# Secret, external sign and ECDH, GenKey allowed; private, public key computable, P-256, lockable.
SLOT_CONFIG, KEY_CONFIG = 0x2085, 0x0033
FLAGS = 0x50 | SLOT
name = SERIAL.hex()
DIGEST = gen_key_digest(NONCE, SLOT, SERIAL, point(device))


def stated(
    text, by=attester, slot=SLOT, signer_slot=SIGNER_SLOT, public=None, nonce=NONCE, rand_out=None
):
    public = point(device) if public is None else public
    signature = sign(by, text)
    return evidence(nonce, slot, public, signer_slot, text, signature, REVISION, rand_out).hex()


def good(**other):
    values = dict(
        digest=DIGEST,
        signer_slot=SIGNER_SLOT,
        slot_config=SLOT_CONFIG,
        key_config=KEY_CONFIG,
        flags=FLAGS,
        serial=SERIAL,
        unlocked=True,
    )
    values.update(other)
    return message(**values)


# A key with ReqRandom: the chip's own number goes into TempKey with the verifier's.
RAND_OUT = bytes(range(0xA0, 0xC0))


def over_random(rand_out=RAND_OUT, nonce=NONCE):
    temp_key = random_nonce(rand_out, nonce)
    digest = gen_key_digest(temp_key, SLOT, SERIAL, point(device))
    return good(digest=digest, flags=0x40 | SLOT, key_config=KEY_CONFIG | 0x40)


def certificates():
    leaf = certificate(name, attester, "vendor root", root, [ATTESTATION], False, 0x4001)
    make = lambda text, private, oids, number, **more: certificate(
        text, private, text, private, oids, True, number, **more
    )
    under = lambda subject, oids, number, **more: certificate(
        subject, attester, "vendor root", root, oids, False, number, **more
    )
    return {
        "root": make("vendor root", root, [], 0x4100),
        "rootForTls": make("vendor root", root, ["1.3.6.1.5.5.7.3.2"], 0x4101),
        "otherRoot": make("other root", stranger, [], 0x4102),
        "sameNamedRoot": make("vendor root", stranger, [], 0x4103),
        "emulatorRoot": make("works", emulator_root, [EMULATOR], 0x4104),
        # The same key without the purpose, as an operator who wants more might make it.
        "washedEmulatorRoot": make("works", emulator_root, [], 0x4105),
        "middle": certificate("middle", middle, "vendor root", root, [], True, 0x4106),
        "emulatorMiddle": certificate(
            "middle", middle, "vendor root", root, [EMULATOR, ATTESTATION], True, 0x4107
        ),
        "leaf": leaf,
        "leafUnderMiddle": certificate(
            name, attester, "middle", middle, [ATTESTATION], False, 0x4002
        ),
        "leafOfOther": under(OTHER_SERIAL.hex(), [ATTESTATION], 0x4003),
        "leafWithoutPurpose": under(name, [], 0x4004),
        "leafForTls": under(name, ["1.3.6.1.5.5.7.3.2"], 0x4005),
        "leafExpired": under(
            name, [ATTESTATION], 0x4006, end=datetime.datetime(2026, 2, 1)
        ),
        "leafOfDeviceKey": certificate(
            name, device, "vendor root", root, [ATTESTATION], False, 0x4007
        ),
        "emulatorLeaf": certificate(name, attester, "works", emulator_root, [EMULATOR], False, 0x4008),
        "disguisedEmulatorLeaf": certificate(
            name, attester, "works", emulator_root, [ATTESTATION], False, 0x4009
        ),
    }


def changed_bytes():
    """Each byte of the statement turned over, and signed anew."""
    text = good()
    for index in range(55):
        bent = bytearray(text)
        bent[index] ^= 0xFF
        yield {"byte": index, "evidence": stated(bytes(bent))}


def configurations():
    """Each bit of SlotConfig and KeyConfig turned over, and signed anew."""
    for field in ("slot_config", "key_config"):
        for bit in range(16):
            value = (SLOT_CONFIG if field == "slot_config" else KEY_CONFIG) ^ (1 << bit)
            yield {
                "field": field,
                "bit": bit,
                "value": f"{value:04x}",
                "evidence": stated(good(**{field: value})),
            }


def pkcs8(private):
    return private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def next_key():
    """The same element's other key, with the next nonce: what a renewal brings."""
    nonce, slot, public = bytes(range(0x40, 0x60)), 0, point(successor)
    digest = gen_key_digest(nonce, slot, SERIAL, public)
    text = good(digest=digest, flags=0x50 | slot)
    return {
        "nonce": nonce.hex(),
        "slot": slot,
        "publicKey": public.hex(),
        "privateKey": pkcs8(successor).hex(),
        "evidence": stated(text, slot=slot, public=public, nonce=nonce),
    }


def main():
    other_digest = gen_key_digest(NONCE, 3, SERIAL, point(device))
    loaded = good(flags=0x10 | SLOT)  # TempKey by pass-through alone: no GenKey flag
    gen_dig = good(flags=FLAGS | 0x20)
    foreign_digest = gen_key_digest(NONCE, SLOT, OTHER_SERIAL, point(device))
    document = {
        "source": "vectors/make/attestation-atecc608.py",
        "time": "2026-06-01T00:00:00Z",
        "serial": name,
        "nonce": NONCE.hex(),
        "otherNonce": bytes(range(32)).hex(),
        "slot": SLOT,
        "attestationSlot": SIGNER_SLOT,
        "publicKey": point(device).hex(),
        "privateKey": pkcs8(device).hex(),
        "next": next_key(),
        "otherPublicKey": point(stranger).hex(),
        "attestationKey": point(attester).hex(),
        "revision": REVISION.hex(),
        "tempKey": DIGEST.hex(),
        "message": good().hex(),
        "signature": sign(attester, good()).hex(),
        "evidence": stated(good()),
        "lockedSlot": stated(good(unlocked=False)),
        "withoutSource": stated(good(flags=0x40 | SLOT)),
        "randOut": RAND_OUT.hex(),
        "overRandom": stated(over_random(), rand_out=RAND_OUT),
        "certificates": {label: der.hex() for label, der in certificates().items()},
        "wrong": {
            "pass-through without GenKey": stated(loaded),
            "GenDig after GenKey": stated(gen_dig),
            "another slot in the flags": stated(good(flags=0x50 | 3)),
            "another slot beside the statement": stated(good(), slot=3),
            "digest and flags of another slot, named as ours": stated(
                good(digest=other_digest, flags=0x50 | 3)
            ),
            "another slot that signs": stated(good(signer_slot=7)),
            "another key in the digest": stated(
                good(digest=gen_key_digest(NONCE, SLOT, SERIAL, point(stranger)))
            ),
            "another nonce in the digest": stated(
                good(digest=gen_key_digest(bytes(range(32)), SLOT, SERIAL, point(device)))
            ),
            "an invalidation": stated(good()[:33] + b"\x41" + good()[34:53] + b"\x01\x00"),
            "an external message of the same length": stated(bytes(55)),
            "a random nonce that is not told": stated(over_random()),
            "another random number than is told": stated(
                over_random(), rand_out=bytes(range(0xA1, 0xC1))
            ),
            "a random nonce with another input": stated(
                over_random(nonce=bytes(range(32))), rand_out=RAND_OUT
            ),
            "a nonce passed through that is told as random": stated(good(), rand_out=RAND_OUT),
        },
        "signedByStranger": stated(good(), by=stranger),
        "signedByItself": stated(good(), by=device),
        "otherSerial": stated(good(digest=foreign_digest, serial=OTHER_SERIAL)),
        "changedBytes": list(changed_bytes()),
        "configurations": list(configurations()),
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
