"""Tokens as clients and resource servers see them. The standard library has no Ed25519: that one thing is `cryptography`'s."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from report import Difference, equal, hold


def encoded(data):
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def header_of(token):
    return json.loads(decoded(token.split(".")[0]))


def claims_of(token):
    """What clients that decode the token read in it."""
    parts = token.split(".")
    hold(len(parts) == 3, "a JWT of three parts", f"{len(parts)} parts")
    return json.loads(decoded(parts[1]))


def with_header(token, **changes):
    """The same token with another header, and so with a signature that does not fit."""
    header, *rest = token.split(".")
    changed = {**json.loads(decoded(header)), **changes}
    return ".".join([encoded({name: value for name, value in changed.items() if value is not None}), *rest])


def with_claims(token, **changes):
    header, payload, signature = token.split(".")
    return ".".join([header, encoded({**json.loads(decoded(payload)), **changes}), signature])


def of_another_keyring(token):
    """The same header and claims, signed well, with a key of somebody else's."""
    signed = token.rpartition(".")[0]
    return f"{signed}.{encoded(hmac.new(b'k' * 32, signed.encode(), hashlib.sha256).digest())}"


def foreign(token):
    """What is not this deployment's, by what is wrong with it. `token` is a good one."""
    header, payload, signature = token.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    return {
        "a signature of another keyring": of_another_keyring(token),
        "a kid that nobody knows": with_header(token, kid="nobody-knows"),
        "a broken signature": f"{header}.{payload}.{flipped}",
        "claims changed": with_claims(token, exp=int(time.time()) + 10**8),
        "alg none": with_header(token, alg="none"),
    }


class Verifier:
    """A resource server, which knows the published keys and nothing else."""

    def __init__(self, server):
        answer = server.send("GET", "/.well-known/jwks.json")
        hold(answer.status == 200, "/.well-known/jwks.json: 200", answer.told())
        self.keys = {key["kid"]: key for key in answer.json()["keys"]}

    def verified(self, token):
        """The claims of an access token that the published keys verify and that has not expired."""
        header = header_of(token)
        key = self.keys.get(header.get("kid"))
        hold(key is not None, "an access token's `kid` names a published key", header)
        equal((key["kty"], key["crv"], key["alg"]), ("OKP", "Ed25519", "EdDSA"), "the published key")
        equal(header["alg"], "EdDSA", "the token's `alg`")
        hold("d" not in key, "no private key is published", "a member d")
        signed, _, signature = token.rpartition(".")
        try:
            Ed25519PublicKey.from_public_bytes(decoded(key["x"])).verify(decoded(signature), signed.encode())
        except InvalidSignature:
            raise Difference("an access token is verifiable by the published keys", "its signature is not") from None
        claims = claims_of(token)
        hold(claims["iat"] <= time.time() + 1 and time.time() < claims["exp"], "issued by now, not expired", claims)
        return claims
