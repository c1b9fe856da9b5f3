"""A host of an ATECC608 on a single wire, with a serial port: Python, its own bits, packets and CRC.

    python3 swi_host.py /dev/pts/N

Prints the wake reply, the revision, a random number of an open part, and what sleep leaves.
"""

import json
import os
import select
import struct
import sys
import termios
import time

ONE, ZERO = 0x7F, 0x7D


def crc16(data):
    register = 0
    for byte in data:
        for bit in range(8):
            feedback = (register >> 15) ^ (byte >> bit & 1)
            register = register << 1 & 0xFFFF
            if feedback:
                register ^= 0x8005
    return struct.pack("<H", register)


class Port:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.speed(termios.B230400)

    def speed(self, baud):
        settings = termios.tcgetattr(self.file)
        settings[0:4] = [0, 0, termios.CS7 | termios.CREAD | termios.CLOCAL, 0]
        settings[4:6] = [baud, baud]
        termios.tcsetattr(self.file, termios.TCSADRAIN, settings)

    def write(self, data):
        os.write(self.file, data)
        echo = self.read(len(data), 5.0)
        assert echo == data, "the wire does not echo"

    def read(self, length, seconds):
        """What came until nothing comes for so long."""
        data = b""
        while len(data) < length and select.select([self.file], [], [], seconds)[0]:
            data += os.read(self.file, length - len(data))
        return data


class Chip:
    def __init__(self, port):
        self.port = port

    def wake(self):
        self.port.speed(termios.B115200)
        self.port.write(b"\0")
        self.port.speed(termios.B230400)
        time.sleep(0.002)
        return self.transmit(5.0)

    def send(self, data):
        bits = [ONE if byte >> bit & 1 else ZERO for byte in data for bit in range(8)]
        self.port.write(bytes(bits))

    def receive(self, length, seconds):
        tokens = self.port.read(8 * length, seconds)
        bits = [(token ^ 0x7F) < 2 for token in tokens]
        return bytes(sum(bits[at + bit] << bit for bit in range(8)) for at in range(0, len(bits), 8))

    def transmit(self, seconds):
        self.send(b"\x88")
        count = self.receive(1, seconds)
        return count + self.receive(count[0] - 1, 5.0) if count else b""

    def execute(self, opcode):
        packet = struct.pack("<BBBH", 7, opcode, 0, 0)
        self.send(b"\x77" + packet + crc16(packet))
        until = time.monotonic() + 1
        while not (reply := self.transmit(0.01)):
            assert time.monotonic() < until, "no reply"
        assert crc16(reply[:-2]) == reply[-2:], reply.hex()
        return reply


chip = Chip(Port(sys.argv[1]))
said = {"woke": chip.wake().hex(), "info": chip.execute(0x30).hex(), "random": chip.execute(0x1B).hex()}
chip.send(b"\xcc")
said["asleep"] = chip.transmit(0.05).hex()
print(json.dumps(said))
