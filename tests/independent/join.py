"""Joining, written anew from its description: nothing here comes from popmesh's own code.

Usage: join.py vectors                                   prints whole exchanges between two sides with fixed chance, as JSON
       join.py newcomer ADDRESS TICKET ENROLMENT FOLDER  joins with a ticket where it is served, as a new device does;
                                                         leaves what it is given in the folder
       join.py organiser ADDRESS CODE                    connects to a new device that shows a code, as who admits it does,
                                                         prints what it asks for, and refuses it

SPAKE2 is by the Python package of that name (Brian Warner), ChaCha20-Poly1305 by cryptography, CBOR by cbor2; HKDF (RFC 5869)
and the frames are spelt out.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import socket
import struct
import sys
import time

try:
    import cbor2
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from spake2 import SPAKE2_A, SPAKE2_B
except ImportError as missing:
    sys.exit(f"{missing}; run ./scripts/test once, which installs it")

VERSION = 2
NEW_DEVICE = b"popmesh join v1: new device"
ORGANISER = b"popmesh join v1: organiser"
TRANSCRIPT = b"popmesh join v1: transcript"
HELLO_MARK = b"popmesh join v2: hello"
HELLO, ANSWER, PROOF, SEALED, REFUSED = range(5)
ADMITTED, NOT_ADMITTED = range(2)
INSTALLED = [0, []]


def expand(key, salt, info, length):
    """HKDF with SHA-256."""
    drawn = hmac.digest(salt, key, "sha256")
    made, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(drawn, block + info + bytes([number]), "sha256")
        made += block
    return made[:length]


def counted(*parts):
    return b"".join(struct.pack(">Q", len(part)) + part for part in parts)


def hello_mark(secret, share):
    """What a hello says instead of its ticket's name."""
    key = expand(secret, b"", HELLO_MARK, 64)
    return hmac.digest(key, counted(share), "sha256")[:8]


class Keys:
    """What both sides have once both shares are there: tags, and a seal for each direction, which counts."""

    def __init__(self, key, hello, share):
        self.transcript = hashlib.sha256(TRANSCRIPT + counted(hello, share)).digest()
        derive = lambda side, what, length: expand(key, self.transcript, side + b": " + what, length)
        self.tags = {side: derive(side, b"tag", 64) for side in (NEW_DEVICE, ORGANISER)}
        self.seals = {side: ChaCha20Poly1305(derive(side, b"seal", 32)) for side in (NEW_DEVICE, ORGANISER)}
        self.counts = {NEW_DEVICE: 0, ORGANISER: 0}

    def tag(self, side):
        return hmac.digest(self.tags[side], self.transcript, "sha256")

    def nonce(self, side):
        self.counts[side] += 1
        return struct.pack(">IQ", 0, self.counts[side] - 1)

    def seal(self, side, value):
        return self.seals[side].encrypt(self.nonce(side), cbor2.dumps(value), self.transcript)

    def open(self, side, sealed):
        return cbor2.loads(self.seals[side].decrypt(self.nonce(side), sealed, self.transcript))


def frame(kind, *fields):
    return cbor2.dumps([kind, list(fields)])


def read(bytes_, kind):
    found, fields = cbor2.loads(bytes_)
    if found != kind:
        sys.exit("the other side refuses" if found == REFUSED else f"frame {found} where {kind} belongs")
    return fields


class NewDevice:
    def __init__(self, password, ticket, chance=None):
        entropy = {} if chance is None else {"entropy_f": lambda length: chance[:length]}
        self.spake = SPAKE2_A(password, idA=NEW_DEVICE, idB=ORGANISER, **entropy)
        share = self.spake.start()
        self.hello = frame(HELLO, VERSION, hello_mark(password, share) if ticket else None, share)

    def answered(self, answer, request):
        share, tag = read(answer, ANSWER)
        self.key = self.spake.finish(share)
        self.keys = Keys(self.key, self.hello, share)
        if not hmac.compare_digest(tag, self.keys.tag(ORGANISER)):
            sys.exit("the organiser's tag is wrong")
        return frame(PROOF, self.keys.tag(NEW_DEVICE), self.keys.seal(NEW_DEVICE, request))


class Organiser:
    def __init__(self, password, hello, chance=None):
        version, self.mark, share = read(hello, HELLO)
        if version != VERSION:
            sys.exit(f"version {version}")
        if self.mark is not None and self.mark != hello_mark(password, share):
            sys.exit("the mark is of another ticket")
        entropy = {} if chance is None else {"entropy_f": lambda length: chance[:length]}
        spake = SPAKE2_B(password, idA=NEW_DEVICE, idB=ORGANISER, **entropy)
        own = spake.start()
        self.keys = Keys(spake.finish(share), hello, own)
        self.answer = frame(ANSWER, own, self.keys.tag(ORGANISER))

    def proven(self, proof):
        tag, sealed = read(proof, PROOF)
        if not hmac.compare_digest(tag, self.keys.tag(NEW_DEVICE)):
            sys.exit("the new device's tag is wrong")
        return self.keys.open(NEW_DEVICE, sealed)


def vectors():
    exchanges = []
    for number, (password, ticket) in enumerate(
        [(bytes(range(16)), True), (b"4177K2M9Q", False), (b"0" * 9, False), (b"\xff" * 16, True)]
    ):
        chances = [hashlib.sha512(b"popmesh %d %d" % (number, side)).digest() for side in range(2)]
        request = ["popmesh-enrolment-1:AAAA", 1_700_000_000_000 + number]
        verdict = [ADMITTED, [["charter", "certificate", "secret", 7]]] if ticket else [NOT_ADMITTED, ["no"]]
        device = NewDevice(password, ticket, chances[0])
        organiser = Organiser(password, device.hello, chances[1])
        proof = device.answered(organiser.answer, request)
        assert organiser.proven(proof) == request
        sealed = frame(SEALED, organiser.keys.seal(ORGANISER, verdict))
        assert device.keys.open(ORGANISER, read(sealed, SEALED)[0]) == verdict
        last = frame(SEALED, device.keys.seal(NEW_DEVICE, INSTALLED))
        exchanges.append(
            {
                "password": password.hex(),
                "ticket": ticket,
                # Python reads 64 bytes of chance with the highest first, Rust with the lowest: the same number.
                "chances": [chance[::-1].hex() for chance in chances],
                "clock_ms": request[1],
                "frames": [part.hex() for part in (device.hello, organiser.answer, proof, sealed, last)],
            }
        )
    print(json.dumps(exchanges, indent=1))


class Link:
    """Frames over TCP, each behind its length in four bytes."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=20)

    def send(self, bytes_):
        self.socket.sendall(struct.pack(">I", len(bytes_)) + bytes_)

    def receive(self):
        (length,) = struct.unpack(">I", self.exactly(4))
        return self.exactly(length)

    def exactly(self, length):
        got = b""
        while len(got) < length:
            more = self.socket.recv(length - len(got))
            if not more:
                sys.exit("the other side went away")
            got += more
        return got


def newcomer(address, ticket, enrolment, folder):
    label, text = ticket.split(":")
    assert label == "popmesh-ticket-1"
    secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[40:]
    link, device = Link(address), NewDevice(secret, True)
    link.send(device.hello)
    request = [pathlib.Path(enrolment).read_text().strip(), int(time.time() * 1000)]
    link.send(device.answered(link.receive(), request))
    verdict, fields = device.keys.open(ORGANISER, read(link.receive(), SEALED)[0])
    if verdict != ADMITTED:
        sys.exit(f"not admitted: {fields[0]}")
    charter, certificate, secret, _ = fields[0][:4]
    folder = pathlib.Path(folder)
    (folder / "charter").write_text(charter + "\n")
    (folder / "certificate").write_text(f"{certificate}\n{secret}\n")
    link.send(frame(SEALED, device.keys.seal(NEW_DEVICE, INSTALLED)))
    print("admitted")


def organiser(address, code):
    link = Link(address)
    side = Organiser(code.replace("-", "").encode(), link.receive())
    link.send(side.answer)
    try:
        request = side.proven(link.receive())
    except InvalidTag:
        sys.exit("what the new device sealed cannot be opened")
    link.send(frame(SEALED, side.keys.seal(ORGANISER, [NOT_ADMITTED, ["not by me"]])))
    print(json.dumps({"enrolment": request[0], "clock_ms": request[1]}))


COMMANDS = {"vectors": vectors, "newcomer": newcomer, "organiser": organiser}

if __name__ == "__main__":
    command, *arguments = sys.argv[1:] or [""]
    if command not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[command](*arguments)
