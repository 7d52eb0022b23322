"""Tokens as clients and resource servers see them. The standard library has no Ed25519: that one thing is `cryptography`'s."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from report import Difference, equal, hold
from stack import ROOT


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


def signed_well(product, token, **changes):
    """The same token with other claims, None for none, signed by the deployment's own key: what no client can make, and
    what has to be refused for what it says."""
    keys = json.loads((ROOT / ".rondo/keyring.json").read_text())["products"][product]
    header = token.split(".")[0]
    claims = {name: value for name, value in {**claims_of(token), **changes}.items() if value is not None}
    signed = f"{header}.{encoded(claims)}"
    kid = header_of(token)["kid"]
    jwk = next(key["jwk"] for key in keys["mac"] + keys["signing"] if key["kid"] == kid)
    if jwk["kty"] == "oct":
        signature = hmac.new(decoded(jwk["k"]), signed.encode(), hashlib.sha256).digest()
    else:
        signature = Ed25519PrivateKey.from_private_bytes(decoded(jwk["d"])).sign(signed.encode())
    return f"{signed}.{encoded(signature)}"


def expired(product, token):
    """The same token as it would be an hour after its end: no test has to wait for that."""
    claims = claims_of(token)
    ago = claims["exp"] - int(time.time()) + 3600
    return signed_well(product, token, iat=claims["iat"] - ago, exp=claims["exp"] - ago)


def lifetime_of(token):
    """For how many seconds its own claims say that it is good."""
    claims = claims_of(token)
    return claims["exp"] - claims["iat"]


def nobodys(product, token):
    """Well signed, and of nobody: by what is wrong with it."""
    return {
        "a session that never was": signed_well(product, token, sid="01M81207WH67TK1KB0GZP8A1VH"),
        "another generation's number": signed_well(product, token, gen=7),
        "another audience": signed_well(product, token, aud="somebody-else"),
        "another issuer": signed_well(product, token, iss="somebody-else"),
        "not valid yet": signed_well(product, token, nbf=int(time.time()) + 3600),
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
