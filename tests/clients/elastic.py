"""Elastic Cloud's Go client: refreshes its one token in the background, keeps the old one on any error, and panics at an
answer without a token."""

import base64
import re
import statistics
import time

import tokens
from report import equal, hold, together
from stack import PASSWORD, USER, time_passes
from tokens import claims_of
from wire import browser_can_call, is_json, no_cookie

NAME = "elastic"
PATH = "/api/v1/users/auth/_refresh"
ORIGIN = "https://console.elastic.example"
UNAUTHORIZED = "The authentication token is invalid or expired."
UTC_MILLIS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z")
CALLERS = 16
# Enough that the middle one is of the hash and not of what else the machine does.
ATTEMPTS = 9
SETTINGS = {
    "ELASTIC_ALLOWED_ORIGINS": ORIGIN,
    "ELASTIC_GRACE_SECS": "60",
    "ELASTIC_RATE_LIMIT": "1000",
    "ELASTIC_ADDRESS_RATE_LIMIT": "1000",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS": "1000",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_USER": "1000",
}
TIGHT = {
    "ELASTIC_GRACE_SECS": "2",
    "ELASTIC_RATE_LIMIT": "4",
    "ELASTIC_ADDRESS_RATE_LIMIT": "4",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS": "12",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_USER": "3",
}


class Client:
    def __init__(self, server, token):
        self.server, self.token = server, token

    def refresh(self):
        answer = send_to(self.server, f"Bearer {self.token}")
        if answer.status == 200:
            # The Go client reads this without asking; where it is missing it panics.
            self.token = answer.json()["token"]
        return answer


def send_to(server, authorization=None, headers=(), body=None, method="POST"):
    sent = [("Authorization", authorization)] if authorization is not None else []
    return server.send(method, PATH, [*sent, ("User-Agent", "cloud-sdk-go/1.24"), *headers], body)


def send(world, authorization=None, headers=(), body=None, method="POST"):
    return send_to(world.server, authorization, headers, body, method)


def bearer(world, token, *more):
    return send(world, f"Bearer {token}", *more)


def basic(user, password):
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def refreshed(answer):
    """A 200 as the contract has it; returns the token."""
    answer.is_(200, "the token is refreshed and returned in the body")
    is_json(answer)
    no_cookie(answer, "the token travels in the body alone")
    body = answer.json()
    equal(sorted(body), ["session_expiration_time", "token"], "both always present, and nothing else")
    told = UTC_MILLIS.fullmatch(body["session_expiration_time"])
    hold(told, "session_expiration_time: UTC with milliseconds", answer.told())
    ends = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(claims_of(body["token"])["exp"]))
    equal(told[1], ends, "the time is the token's own `exp`")
    return body["token"]


def refused(answer, status, code, contract):
    """An error as the contract has it; returns its message."""
    answer.is_(status, f"{code}, {contract}")
    is_json(answer)
    no_cookie(answer, "there are none here")
    equal(answer.header("x-cloud-error-codes"), code, "`x-cloud-error-codes`")
    equal(list(answer.json()), ["errors"], "the envelope")
    errors = answer.json()["errors"]
    equal(len(errors), 1, "the number of errors")
    equal(sorted(errors[0]), ["code", "message"], "an error; `fields` left out when empty")
    equal(errors[0]["code"], code, "code")
    hold(errors[0]["message"], "message", errors)
    return errors[0]["message"]


def unauthorized(answer, contract):
    equal(refused(answer, 401, "root.unauthorized", contract), UNAUTHORIZED, f"the message of a 401, {contract}")


def scenes(world):
    client = Client(world.server, refreshed(send(world, basic(USER, PASSWORD))))
    verifier = tokens.Verifier(world.server)

    def by_password():
        token = refreshed(send(world, basic(USER, PASSWORD)))
        claims = verifier.verified(token)
        wanted = {"iss": "elastic", "aud": "elastic-api", "sub": USER}
        equal({name: claims[name] for name in wanted}, wanted, "the token's claims: it is the access token")
        equal(claims["exp"] - claims["iat"], 3600, "the token's lifetime")
        refreshed(bearer(world, token))

    def refresh():
        seen = [client.token]
        for _ in range(4):
            seen.append(refreshed(client.refresh()))
            verifier.verified(seen[-1])
        equal(len(set(seen)), 5, "each refresh rotates: different tokens")
        for token in seen:
            verifier.verified(token)

    def until_used():
        opened = world.backend.opened(NAME)
        zeroth = opened["refresh_token"]
        equal(zeroth, opened["access_token"], "it is both the access token and what is rotated")
        first = refreshed(bearer(world, zeroth))
        for _ in range(3):
            first = refreshed(bearer(world, zeroth))
        second = refreshed(bearer(world, first))
        unauthorized(bearer(world, zeroth), "the successor is used: reuse")
        unauthorized(bearer(world, second), "and the family is sealed")
        verifier.verified(second)
        equal(world.backend.state(NAME, opened["session"]["family"])["state"], "reuse", "the session's state")

    def callers():
        start = world.backend.opened(NAME)
        answers = together([lambda: Client(world.server, start["refresh_token"]).refresh()] * CALLERS)
        successors = [refreshed(answer) for answer in answers]
        equal(world.one_live_line(NAME, start["session"]["family"]), 1, "the one live generation after the race")
        # One process keeps the last of them and goes on; every token given out verifies until its own `exp`.
        going_on = Client(world.server, successors[-1])
        for _ in range(2):
            refreshed(going_on.refresh())
        for token in successors:
            verifier.verified(token)
        equal(world.one_live_line(NAME, start["session"]["family"]), 3, "the one live generation")

    def ignored():
        for body in ("garbage", "[]", '{"token":"x"}', "x" * 5000):
            refreshed(send(world, f"Bearer {client.token}", [("Content-Type", "application/json")], body))
            client.refresh()
        refreshed(send(world, f"bearer {client.token}"))
        refreshed(client.refresh())

    def expired():
        for settings in ({"ELASTIC_TOKEN_SECS": "60"}, {"ELASTIC_ABSOLUTE_SECS": "60"}):
            token = world.operator.open(NAME, settings=settings)["refresh_token"]
            equal(tokens.lifetime_of(token), 60, f"the time that was set: {settings}")
            unauthorized(bearer(world, tokens.expired(NAME, token)), "expired")

    def revoked():
        ended = world.backend.opened(NAME)
        other = Client(world.server, ended["refresh_token"])
        refreshed(other.refresh())
        world.backend.revoke(NAME, ended["session"]["family"])
        unauthorized(bearer(world, ended["refresh_token"]), "sealed")
        before = other.token
        unauthorized(other.refresh(), "sealed")
        equal(other.token == before, True, "the client keeps the old token on an error")

    def accounts():
        for user in ("held", "gone"):
            world.operator.put_user(NAME, user, "--password", "-", given=f"{PASSWORD}\n")
        opened = {user: refreshed(send(world, basic(user, PASSWORD))) for user in ("held", "gone")}
        world.operator.suspend(NAME, "held")
        world.operator.remove(NAME, "gone")
        for user, token in opened.items():
            unauthorized(bearer(world, token), f"sealed: {user}")
            unauthorized(send(world, basic(user, PASSWORD)), f"no session can be opened: {user}")

    def foreign():
        for product in ("uniqos", "dreadnode", "replyke:demo"):
            opened = world.backend.opened(product)
            for name in ("refresh_token", "access_token"):
                unauthorized(bearer(world, opened[name]), f"invalid: the {name} of {product}")
        other = world.backend.opened(NAME)["refresh_token"]
        for what, token in {**tokens.foreign(client.token), **tokens.nobodys(NAME, other)}.items():
            unauthorized(bearer(world, token), f"invalid: {what}")
        refreshed(client.refresh())

    def malformed():
        given = [None, "", "Bearer", "Bearer ", "Bearer garbage", "Bearer a.b.c", f"Bearer {'x' * 6000}", "Basic"]
        given += ["Basic !!!", f"Basic {base64.b64encode(b'no colon').decode()}", basic("", ""), basic(USER, "")]
        given += [f"ApiKey {client.token}", client.token, "Digest username=demo", f"Token {client.token}"]
        given += [f"Bearer {client.token}, Bearer {client.token}", basic("x" * 3000, "y"), basic(USER, "y" * 3000)]
        for authorization in given:
            unauthorized(send(world, authorization), f"`ApiKey`, none, or anything else: {(authorization or '')[:8]}")
        refreshed(client.refresh())

    def guessing():
        wrong, unknown = send(world, basic(USER, "wrong")), send(world, basic("nobody", "wrong"))
        unauthorized(wrong, "a wrong password")
        unauthorized(unknown, "an unknown user")
        own = ("x-request-id", "date")
        shown = [
            [(name.lower(), value) for name, value in answer.headers if name.lower() not in own]
            for answer in (wrong, unknown)
        ]
        equal(shown[1], shown[0], "an unknown user's headers are those of a wrong password")
        equal(unknown.body, wrong.body, "and its body")

    def timing():
        taken = {USER: [], "nobody": [], None: []}
        for _ in range(ATTEMPTS):
            for user, times in taken.items():
                began = time.perf_counter()
                send(world, basic(user, "wrong") if user else "Bearer garbage")
                times.append(time.perf_counter() - began)
        wrong, unknown, nothing = (statistics.median(times) for times in taken.values())
        told = f"wrong {wrong * 1e3:.1f} ms, unknown {unknown * 1e3:.1f} ms, no password {nothing * 1e3:.1f} ms"
        hold(wrong > 2 * nothing, "a password costs a hash", told)
        hold(wrong / 2 < unknown < wrong * 2, "an unknown user costs the same time as a wrong password", told)

    def garbage():
        with world.no_store_call():
            for authorization in (None, "Bearer a.b.c", f"ApiKey {client.token}", "Basic !!!"):
                send(world, authorization)
            for bad in tokens.foreign(client.token).values():
                bearer(world, bad)

    def methods():
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = send(world, f"Bearer {client.token}", method=method)
            answer.is_(405, "for other methods")
            hold("POST" in (answer.header("allow") or ""), "405 with `Allow`", answer.told())

    def browser():
        exposed = ["X-Request-Id", "Retry-After"]
        browser_can_call(world.server, PATH, ORIGIN, ["content-type", "authorization"], exposed)
        # The cross-site rule is for cookies: a bearer token is nothing that a browser sends by itself.
        refreshed(send(world, f"Bearer {client.token}", [("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")]))
        refreshed(client.refresh())

    def slow():
        world.proxy.play("slow")
        try:
            refreshed(client.refresh())
        finally:
            world.proxy.play("pass")

    yield "Basic opens a session", by_password
    yield "refresh, and again; an issued token stays good until its `exp`", refresh
    yield "replay until the successor is used, and reuse after it", until_used
    yield f"{CALLERS} callers at once: all get tokens of one live line", callers
    yield "a body is ignored", ignored
    yield "expired token", expired
    yield "revoked session", revoked
    yield "suspended and removed users", accounts
    yield "foreign tokens", foreign
    yield "malformed credentials, ApiKey, none", malformed
    yield "wrong password and unknown user look alike", guessing
    yield "and take about as long", timing
    yield "garbage costs no store call", garbage
    yield "wrong methods", methods
    yield "preflight and CORS", browser
    yield "store slow, within the time-outs", slow


class Outage:
    """The background refresh, and somebody who signs in, while the store fails."""

    def __init__(self, world):
        self.world = world
        self.client = Client(world.server, world.backend.opened(NAME)["refresh_token"])
        refreshed(self.client.refresh())

    def during(self, _):
        before = self.client.token
        sign_in = lambda: send(self.world, basic(USER, PASSWORD))  # noqa: E731
        for answer in together([self.client.refresh, sign_in]):
            code = "authc.authentication_cluster_error"
            refused(answer, 502, code, "the store failed or timed out")
        equal(self.client.token == before, True, "the client keeps the old token")

    def after(self):
        refreshed(self.client.refresh())
        refreshed(self.client.refresh())
        refreshed(send(self.world, basic(USER, PASSWORD)))


def tight(world):
    """With a short window and low limits, one instance of each function."""
    start = world.backend.opened(NAME)
    client = Client(world.server, start["refresh_token"])
    client.refresh()
    rotated_at = time.monotonic()

    def after_window():
        time_passes(rotated_at + int(TIGHT["ELASTIC_GRACE_SECS"]) + 0.5 - time.monotonic())
        unauthorized(bearer(world, start["refresh_token"]), "reused after the window, though the successor is unused")
        unauthorized(client.refresh(), "sealed: the newest token too")

    def limit():
        token = world.backend.opened(NAME)["refresh_token"]
        answers = together([lambda: bearer(world, token)] * 24)
        limited = [answer for answer in answers if answer.status == 429]
        hold(limited, "429 where the limit is reached", [answer.status for answer in answers])
        for answer in limited:
            is_limited(answer)
        time_passes(int(limited[-1].header("retry-after")))
        refreshed(bearer(world, token))

    def addresses():
        token = world.backend.opened(NAME)["refresh_token"]
        with world.no_store_call():
            answers = [bearer(world, "a.b.c") for _ in range(12)]
        limited = [answer for answer in answers if answer.status == 429]
        hold(limited, "per IP where the token does not verify", [answer.status for answer in answers])
        for answer in answers:
            is_limited(answer) if answer.status == 429 else unauthorized(answer, "invalid")
        refreshed(bearer(world, token))

    def passwords():
        # The user who is there and the one who is not are limited alike, so that the limit tells nothing either.
        for user in (USER, "nobody"):
            statuses = [send(world, basic(user, "wrong")).status for _ in range(4)]
            equal(statuses, [401, 401, 401, 429], f"password guessing is limited per user name, {user}")
        is_limited(send(world, basic(USER, PASSWORD)))
        answers = [send(world, basic(f"user-{number}", "wrong")) for number in range(12)]
        hold(answers[-1].status == 429, "and per IP", [answer.status for answer in answers])
        is_limited(answers[-1])

    yield "replay after the window: 401 for the whole family", after_window
    yield "rate limit", limit
    yield "rate limit of an address; a token that verifies is not limited by it", addresses
    yield "password guessing is limited per user and address", passwords


def is_limited(answer):
    refused(answer, 429, "root.too_many_requests", "a limit")
    hold((answer.header("retry-after") or "0").isdigit(), "Retry-After", answer.told())
    hold(int(answer.header("retry-after") or 0) >= 1, "with `Retry-After`", answer.told())
