"""A host of an ATECC608 that shares nothing with the emulator: Python, its own CRC and packets,
raw I2C transactions over the relay's socket. Takes a blank part to its first verified signature.

    python3 relay_host.py SOCKET FOLDER

FOLDER is for the files that openssl reads. Prints one JSON document.
"""

import hashlib
import json
import socket
import struct
import subprocess
import sys
import time

ADDRESS = 0x60
WATCHED_S = 1.0  # of the 1.3 s that the watchdog gives


class Bus:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.nacks = 0

    def write(self, address, data):
        self.socket.sendall(struct.pack("<cBH", b"W", address, len(data)) + data)
        return self.exactly(1) == b"\0"

    def read(self, address, length):
        self.socket.sendall(struct.pack("<cBH", b"R", address, length))
        return self.exactly(length) if self.exactly(1) == b"\0" else None

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError("the relay ended the connection")
            data += more
        return data


def crc16(data):
    """Polynomial x^16 + x^15 + x^2 + 1, from 0, each byte from its lowest bit."""
    register = 0
    for byte in data:
        for bit in range(8):
            feedback = (register >> 15) ^ (byte >> bit & 1)
            register = register << 1 & 0xFFFF
            if feedback:
                register ^= 0x8005
    return struct.pack("<H", register)


class Chip:
    def __init__(self, bus):
        self.bus = bus
        self.busy = 0

    def wake(self):
        assert not self.bus.write(0, b"\1"), "the general call is acknowledged by nobody"
        time.sleep(0.002)
        woke = self.bus.read(ADDRESS, 4)
        assert woke == bytes.fromhex("04113343"), woke

    def idle(self):
        assert self.bus.write(ADDRESS, b"\2")

    def sleep(self):
        assert self.bus.write(ADDRESS, b"\1")

    def execute(self, opcode, param1=0, param2=0, data=b""):
        """Wakes it, and lets it idle afterwards: what is volatile stays."""
        self.wake()
        packet = struct.pack("<BBBH", 7 + len(data), opcode, param1, param2) + data
        assert self.bus.write(ADDRESS, b"\3" + packet + crc16(packet))
        reply = self.reply(time.monotonic() + WATCHED_S)
        self.idle()
        return reply

    def reply(self, until):
        while not self.bus.write(ADDRESS, b"\0"):
            self.busy += 1
            assert time.monotonic() < until, "no reply"
            time.sleep(0.002)
        count = self.bus.read(ADDRESS, 1)
        rest = self.bus.read(ADDRESS, count[0] - 1)
        assert crc16(count + rest[:-2]) == rest[-2:], (count + rest).hex()
        return rest[:-2]

    def config(self):
        return b"".join(self.execute(0x02, 0x80, block << 3) for block in range(4))


def ok(reply):
    assert reply == b"\0", reply.hex()


def der_integer(data):
    data = data.lstrip(b"\0") or b"\0"
    if data[0] & 0x80:
        data = b"\0" + data
    return b"\2" + bytes([len(data)]) + data


def openssl_verifies(folder, public_key, message, signature):
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\4" + public_key
    numbers = der_integer(signature[:32]) + der_integer(signature[32:])
    files = {
        "key.der": spki,
        "message": message,
        "signature": b"\x30" + bytes([len(numbers)]) + numbers,
    }
    for name, content in files.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
    subprocess.run(
        ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", "key.der", "-pubcheck", "-out", "key.pem"],
        cwd=folder, check=True, capture_output=True,
    )
    dgst = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "message"]
    done = subprocess.run(dgst, cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def main(path, folder):
    bus = Bus(path)
    chip = Chip(bus)
    assert bus.read(ADDRESS, 4) is None, "a part that sleeps does not answer"
    said = {"revision": chip.execute(0x30).hex()}

    blank = chip.config()
    said["serial"] = (blank[0:4] + blank[8:13]).hex()
    said["locks"] = blank[86:88].hex()
    said["fixedRandom"] = chip.execute(0x1B).hex()

    # Slot 0: a private key, external and internal signatures, ECDH, GenKey allowed (0x2087).
    ok(chip.execute(0x12, 0x00, 20 >> 2, bytes.fromhex("87208720")))
    written = chip.config()
    assert written == blank[:20] + bytes.fromhex("87208720") + blank[24:]
    said["keyConfig"] = written[96:98].hex()

    wrong = bytes(byte ^ 0xFF for byte in crc16(written))
    said["lockWithWrongCrc"] = chip.execute(0x17, 0x00, struct.unpack("<H", wrong)[0]).hex()
    ok(chip.execute(0x17, 0x00, struct.unpack("<H", crc16(written))[0]))
    ok(chip.execute(0x17, 0x81))
    said["locked"] = chip.config()[86:88].hex()
    said["randoms"] = [chip.execute(0x1B).hex() for _ in range(2)]

    public_key = chip.execute(0x40, 0x04, 0)
    assert len(public_key) == 64
    assert chip.execute(0x40, 0x00, 0) == public_key

    message = b"made on a bus that is not there"
    ok(chip.execute(0x16, 0x03, 0, hashlib.sha256(message).digest()))
    signature = chip.execute(0x41, 0x80, 0)
    said["openssl"] = openssl_verifies(folder, public_key, message, signature)
    said["opensslOfOther"] = openssl_verifies(folder, public_key, message + b".", signature)
    # A digest is good for one signature.
    said["secondSign"] = chip.execute(0x41, 0x80, 0).hex()

    chip.wake()
    chip.sleep()
    said["asleep"] = bus.read(ADDRESS, 4) is None
    said["busy"] = chip.busy
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
