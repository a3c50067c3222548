"""Claim tokens, written anew from their description: nothing here comes from popmesh's own code.

Usage: claim_token.py FOLDER    checks every vector in the folder, or says which one fails.

CBOR is by cbor2 and Ed25519 by cryptography; base45 (RFC 9285) and COSE_Sign1 (RFC 9052) are spelt out.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

try:
    import cbor2
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as missing:
    sys.exit(f"{missing}; on Debian and Ubuntu: apt-get install python3-cbor2 python3-cryptography")

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
PREFIX = "POPMESH1:"
EDDSA, COSE_SIGN1 = -8, 18
EXPIRES, NOT_BEFORE, ISSUED, CLAIM = 4, 5, 6, -65537
ROLES = ["pos", "locker", "encoder", "hq", "registrar", "steward"]
SELLING = {"pos", "locker", "encoder"}
MAX_ISSUERS = 2


class Refused(Exception):
    """A token that is not to be accepted; its text says why, in one word."""


def base45_encode(data):
    text = ""
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            text += ALPHABET[digit]
    return text


def base45_decode(text):
    data = b""
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        number = sum(ALPHABET.index(digit) * 45**place for place, digit in enumerate(group))
        data += number.to_bytes(len(group) - 1, "big")
    return data


def verify(key, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def read_charter(text):
    """The event's id and the organiser's key."""
    label, _, armor = text.partition(":")
    assert label == "popmesh-charter-1", label
    raw = base64.urlsafe_b64decode(armor + "=" * (-len(armor) % 4))
    signature, body = raw[:64], raw[64:]
    organiser = cbor2.loads(body)[2]
    assert verify(organiser, signature, b"popmesh charter v1" + body), "the charter's signature"
    return hashlib.sha256(body).digest(), organiser


def may_grant(roles):
    """What whoever has these roles may make of another device."""
    if "hq" in roles:
        return SELLING | {"steward"}
    return SELLING if "steward" in roles else set()


def read_certificate(raw, event, organiser, further=MAX_ISSUERS):
    """What a certificate says, once it and those of its issuers are found good."""
    signature, body = raw[:64], raw[64:]
    mark, device, name, roles, venue, not_before_ms, not_after_ms, *by = cbor2.loads(body)
    if mark != event[:8] or (by and not further):
        raise Refused("certificate")
    issuer = read_certificate(by[0], event, organiser, further - 1) if by else None
    signer = bytes.fromhex(issuer["device"]) if issuer else organiser
    if not verify(signer, signature, b"popmesh certificate v1" + event + body):
        raise Refused("certificate")
    said = {
        "device": device.hex(),
        "name": name,
        "roles": [role for bit, role in enumerate(ROLES) if roles & 1 << bit],
        "venue": venue,
        "not_before_ms": not_before_ms,
        "not_after_ms": not_after_ms,
        "issuer": issuer,
    }
    if issuer and not (
        set(said["roles"]) <= may_grant(issuer["roles"])
        and issuer["not_before_ms"] <= not_before_ms
        and not_after_ms <= issuer["not_after_ms"]
    ):
        raise Refused("certificate")
    return said


def units_to_ranges(gaps):
    ranges, after = [], 0
    for gap, more in zip(gaps[::2], gaps[1::2]):
        ranges.append([after + gap, after + gap + more])
        after += gap + more + 1
    return ranges


def ranges_to_units(ranges):
    gaps, after = [], 0
    for first, last in ranges:
        gaps += [first - after, last - first]
        after = last + 1
    return gaps


def to_be_signed(protected, event, payload):
    return cbor2.dumps(["Signature1", protected, b"popmesh token v1" + event, payload])


def decode(cose, event, organiser):
    """The issuer and the token that the bytes hold, both as the vectors write them."""
    envelope = cbor2.loads(cose)
    assert envelope.tag == COSE_SIGN1
    protected, unprotected, payload, signature = envelope.value
    assert cbor2.loads(protected) == {1: EDDSA} and unprotected == {}
    claims = cbor2.loads(payload)
    certificate, chain, seq, drop, items, *more = claims[CLAIM]
    issuer = read_certificate(certificate, event, organiser)
    if not verify(bytes.fromhex(issuer["device"]), signature, to_be_signed(protected, event, payload)):
        raise Refused("signature")
    issued_ms = claims[ISSUED] * 1000
    if not (issuer["not_before_ms"] <= issued_ms + 999 and issued_ms < issuer["not_after_ms"]):
        raise Refused("validity")
    if not SELLING & set(issuer["roles"]):
        raise Refused("role")
    custodian, under = more[0] if more else None, None
    if isinstance(custodian, list):
        custodian, *under = custodian
    token = {
        "event": event.hex(),
        "claim": {"chain": chain.hex(), "seq": seq},
        "drop": drop,
        "items": [
            {"sku": sku, "units": units_to_ranges(units)} for sku, units in zip(items[::2], items[1::2])
        ],
        "custodian": custodian.hex() if custodian else issuer["device"],
        "issued_s": claims[ISSUED],
        "not_before_s": claims.get(NOT_BEFORE),
        "expires_s": claims.get(EXPIRES),
        "pin_tag": more[1].hex() if len(more) > 1 else None,
    }
    if under:
        token["under"] = {"chain": under[0].hex(), "seq": under[1]}
    return issuer, token


def encode(token, certificate, issuer, seed):
    """The bytes of a token, from its fields and the issuer's secret key."""
    claim = [certificate, bytes.fromhex(token["claim"]["chain"]), token["claim"]["seq"], token["drop"], []]
    for item in token["items"]:
        claim[4] += [item["sku"], ranges_to_units(item["units"])]
    if "under" in token:
        under = token["under"]
        claim.append([bytes.fromhex(token["custodian"]), bytes.fromhex(under["chain"]), under["seq"]])
    elif token["custodian"] != issuer["device"] or token["pin_tag"]:
        claim.append(bytes.fromhex(token["custodian"]))
    if token["pin_tag"]:
        claim.append(bytes.fromhex(token["pin_tag"]))
    claims = {
        EXPIRES: token["expires_s"],
        NOT_BEFORE: token["not_before_s"],
        ISSUED: token["issued_s"],
        CLAIM: claim,
    }
    payload = cbor2.dumps({key: value for key, value in claims.items() if value is not None}, canonical=True)
    protected = cbor2.dumps({1: EDDSA})
    message = to_be_signed(protected, bytes.fromhex(token["event"]), payload)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    return cbor2.dumps(cbor2.CBORTag(COSE_SIGN1, [protected, {}, payload, signature]))


def check_good(vector):
    event, organiser = read_charter(vector["charter"])
    cose = bytes.fromhex(vector["cose"])
    text = vector["text"]
    assert text.startswith(PREFIX) and base45_decode(text[len(PREFIX) :]) == cose, "the text is not of the bytes"
    assert PREFIX + base45_encode(cose) == text, "the bytes have another text"
    issuer, token = decode(cose, event, organiser)
    assert issuer == vector["issuer"], f"another issuer: {issuer}"
    assert token == vector["token"], f"another token: {token}"
    certificate, seed = bytes.fromhex(vector["certificate"]), bytes.fromhex(vector["issuer_seed"])
    made = encode(vector["token"], certificate, vector["issuer"], seed)
    assert made == cose, f"encoded otherwise: {made.hex()}"


def check_pin(vector):
    """The event's secret is the organiser's to derive, or that of a later epoch; the tag follows from it, the claim and the
    PIN, and names the epoch unless that is the first."""
    mark = b""
    if "epoch_secret" in vector:
        secret = bytes.fromhex(vector["epoch_secret"])
        mark = hashlib.sha256(b"popmesh epoch v1" + secret).digest()[:4]
    else:
        event, _ = read_charter(vector["charter"])
        organiser = bytes.fromhex(vector["organiser_seed"])
        secret = hmac.digest(organiser, b"popmesh event secret v1" + event, "sha256")
        assert secret.hex() == vector["event_secret"], f"another secret: {secret.hex()}"
    claim = vector["token"]["claim"]
    named = bytes.fromhex(claim["chain"]) + claim["seq"].to_bytes(8, "big")
    tag = hmac.digest(secret, b"popmesh pin v1" + named + vector["pin"].encode(), "sha256")[:8] + mark
    assert tag.hex() == vector["token"]["pin_tag"], f"another tag: {tag.hex()}"


def check_refused(vector):
    event, organiser = read_charter(vector["charter"])
    for case in vector["cases"]:
        try:
            decode(bytes.fromhex(case["cose"]), event, organiser)
        except Refused as refused:
            assert str(refused) == case["why"], f"{case['about']}: refused for its {refused}"
        else:
            raise AssertionError(f"{case['about']}: accepted")
    return len(vector["cases"])


def main(folder):
    good = refused = 0
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        try:
            if "cases" in vector:
                refused += check_refused(vector)
            else:
                check_good(vector)
                if "pin" in vector:
                    check_pin(vector)
                good += 1
        except (AssertionError, Refused) as error:
            sys.exit(f"{path.name}: {error!r}")
    print(f"{good} tokens read and made alike, {refused} refused for the same reason")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
