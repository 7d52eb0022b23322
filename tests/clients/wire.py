"""HTTP as it is on the wire: a request with any header as often as wanted, an answer with every header that came."""

import http.client
import json
import re

from jar import SetCookie
from report import Difference, equal, hold

# The functions' own time-outs are shorter: where this one strikes, a client was left waiting.
ANSWERED_WITHIN_SECS = 40
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Answer:
    """What was answered."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def header(self, name):
        """The one header of this name, or None."""
        values = self.all(name)
        hold(len(values) <= 1, f"one header {name}", values)
        return values[0] if values else None

    def has(self, name):
        return bool(self.all(name))

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Difference("a JSON body", self.told()) from None

    def cookies(self):
        return [SetCookie(line) for line in self.all("set-cookie")]

    def cookie(self, name):
        """The one `Set-Cookie` of this name."""
        found = [cookie for cookie in self.cookies() if cookie.name == name]
        hold(len(found) == 1, f"one Set-Cookie of {name}", f"{len(found)} of them; {self.told()}")
        return found[0]

    def told(self):
        headers = ", ".join(f"{name}: {value}" for name, value in self.headers if name.lower() != "date")
        return f"{self.status} {{{headers}}} {self.body[:600].decode(errors='replace')}"

    def is_(self, status, contract):
        """The status has to be this one, and what is common to all answers has to be there."""
        hold(self.status == status, f"{status}: {contract}", self.told())
        common(self)
        return self


def common(answer):
    """Contract, "Common to all"."""
    equal(answer.header("cache-control"), "no-store", "`Cache-Control: no-store` on every answer")
    request_id = answer.header("x-request-id") or ""
    hold(ULID.fullmatch(request_id), "a ULID request id in `X-Request-Id` on every answer", answer.told())


def is_json(answer):
    kind = (answer.header("content-type") or "").split(";")[0].strip().lower()
    equal(kind, "application/json", "JSON content type")


def no_cookie(answer, contract):
    hold(not answer.has("set-cookie"), f"no Set-Cookie: {contract}", answer.told())


class Server:
    """The local stack's functions."""

    def __init__(self, port):
        self.port = port

    def send(self, method, path, headers=(), body=None):
        """Sends a request with exactly these headers, a list of pairs, and those that frame it."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWERED_WITHIN_SECS)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None or method == "POST":
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


def listed(text):
    """The names in a header that lists them."""
    return {name.strip().lower() for name in (text or "").split(",") if name.strip()}


def preflight(server, path, origin, asked):
    return server.send(
        "OPTIONS",
        path,
        [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", ",".join(asked)),
        ],
    )


def allows(answer, origin):
    """What a browser asks of an answer before a script may read it, credentials included (Fetch, CORS check)."""
    equal(answer.header("access-control-allow-origin"), origin, "CORS: the exact origin")
    equal(answer.header("access-control-allow-credentials"), "true", "CORS: credentials")


def browser_can_call(server, path, origin, asked, exposed, refused="https://evil.example"):
    """Preflight, as the common part of the contract has it: this origin passes with these headers, another does not."""
    answer = preflight(server, path, origin, asked)
    hold(answer.status in (200, 204), "preflight is answered (200 or 204)", answer.told())
    common(answer)
    allows(answer, origin)
    hold(
        "post" in listed(answer.header("access-control-allow-methods")), "preflight allows POST", answer.told()
    )
    missing = set(asked) - listed(answer.header("access-control-allow-headers"))
    hold(not missing, f"preflight for the headers that the product's clients send: {', '.join(asked)}", answer.told())
    other = preflight(server, path, refused, asked)
    hold(
        other.header("access-control-allow-origin") not in (refused, "*"),
        "CORS: the exact origin per product, and no other",
        other.told(),
    )
    simple = server.send("POST", path, [("Origin", origin), ("Sec-Fetch-Site", "cross-site")])
    allows(simple, origin)
    missing = {name.lower() for name in exposed} - listed(simple.header("access-control-expose-headers"))
    hold(not missing, f"CORS exposes {', '.join(exposed)}", simple.told())
