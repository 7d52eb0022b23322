"""Uniqos' SDK in a browser: the cookie is the browser's, each call carries an Authorization header, 500 is tried again."""

import time

import tokens
from jar import Jar, SetCookie
from report import equal, hold, together
from stack import ORG, USER, time_passes
from wire import ISO_8601, JWT, browser_can_call, is_json, no_cookie

NAME = "uniqos"
PATH = "/v1/auth/refresh"
COOKIE = "uniqos_refresh"
ORIGIN = "https://app.uniqos.example"
SENT_HEADERS = ["content-type", "authorization", "x-uniqos-sdk", "idempotency-key"]
RATE = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
QUOTA = ["X-Quota-Turns-Used", "X-Quota-Turns-Limit", "X-Quota-Relationships-Used", "X-Quota-Relationships-Limit"]
EXPOSED = [*RATE, *QUOTA, "X-Quota-Reset", "X-Request-Id", "Retry-After"]
TABS = 16
SETTINGS = {
    "UNIQOS_ALLOWED_ORIGINS": ORIGIN,
    "UNIQOS_GRACE_SECS": "60",
    "UNIQOS_RATE_LIMIT": "1000",
    "UNIQOS_ADDRESS_RATE_LIMIT": "1000",
}
TIGHT = {"UNIQOS_GRACE_SECS": "2", "UNIQOS_RATE_LIMIT": "4", "UNIQOS_ADDRESS_RATE_LIMIT": "4"}
OFF = {"UNIQOS_GRACE_SECS": "0"}


class Client:
    def __init__(self, server, token):
        self.server, self.jar = server, Jar()
        self.access, self.signed_out = "not.an.accesstoken", False
        self.jar.put(COOKIE, token, "/v1/auth")

    @property
    def token(self):
        return self.jar.only(COOKIE)

    def refresh(self):
        """What the SDK does: new tokens at 200, signed out at 401, and at anything else it keeps what it has."""
        headers = [("Authorization", f"Bearer {self.access}"), ("X-Uniqos-Sdk", "js/2.4.0"), ("Origin", ORIGIN)]
        headers += [("Sec-Fetch-Site", "cross-site")]
        cookie = self.jar.header(PATH)
        answer = self.server.send("POST", PATH, headers + ([("Cookie", cookie)] if cookie else []))
        self.jar.take(answer)
        if answer.status == 200:
            self.access = answer.json()["access_token"]
        self.signed_out = self.signed_out or answer.status == 401
        return answer


def send(world, token=None, headers=(), body=None, method="POST"):
    cookie = [("Cookie", token if "=" in token else f"{COOKIE}={token}")] if token is not None else []
    return world.server.send(method, PATH, [*cookie, *headers], body)


def refreshed(answer):
    """A 200 as the contract has it; returns the successor."""
    answer.is_(200, "the refresh cookie is exchanged")
    is_json(answer)
    body = answer.json()
    equal(sorted(body), ["access_token", "expires_in", "token_type"], "the members of a 200's body")
    equal((body["token_type"], body["expires_in"]), ("Bearer", 900), "token_type and expires_in")
    hold(JWT.fullmatch(body["access_token"]), "access_token is a JWT", answer.told())
    equal(len(answer.cookies()), 1, "the number of Set-Cookie")
    limits = [answer.header(name) for name in RATE]
    hold(None not in limits and ISO_8601.fullmatch(limits[2]), f"{', '.join(RATE)} on 200, Reset ISO-8601", answer.told())
    hold(0 <= int(limits[1]) <= int(limits[0]), "Remaining never exceeds Limit", answer.told())
    absent(answer, ["Retry-After", *QUOTA], "on 429 only")
    return as_set(answer.cookie(COOKIE))


def as_set(cookie):
    hold(JWT.fullmatch(cookie.value), f"{COOKIE} carries a token", cookie.line)
    flags = [(name, value) for name, value in cookie.attributes if name != "Max-Age"]
    wanted = [("Path", "/v1/auth"), ("HttpOnly", ""), ("SameSite", "Strict")]
    equal(flags, wanted, "Path=/v1/auth; HttpOnly; SameSite=Strict (and no Secure, under `rondo dev` alone)")
    hold(int(cookie.get("Max-Age")) > 0, "Max-Age", cookie.line)
    return cookie.value


def refused(answer, status, code, kind, contract):
    """An error as the contract's table has it."""
    answer.is_(status, f"{code}, {contract}")
    is_json(answer)
    equal(list(answer.json()), ["error"], "the envelope")
    error = answer.json()["error"]
    wanted = sorted(["code", "message", "type", "request_id", "details", "documentation_url"])
    equal(sorted(error), wanted, "the members of `error`")
    equal((error["code"], error["type"]), (code, kind), "code and type")
    equal(error["request_id"], answer.header("x-request-id"), "`request_id` equal to the header")
    if status != 429:
        absent(answer, [*RATE, *QUOTA, "Retry-After"], "on 200 or 429 only")
    if status != 401:
        no_cookie(answer, "only an answer that ends the session clears the cookie")
    return error


def absent(answer, names, contract):
    hold(not any(answer.has(name) for name in names), f"no {', '.join(names)}: {contract}", answer.told())


def unauthenticated(answer, contract):
    return refused(answer, 401, "authentication_error", "authentication", contract)


def invalid(answer, status, contract):
    return refused(answer, status, "validation_error", "validation", contract)


def cleared(answer, contract):
    unauthenticated(answer, contract)
    cookie = answer.cookie(COOKIE)
    hold(cookie.clears and cookie.get("Path") == "/v1/auth", f"401, cookie cleared: {contract}", cookie.line)


def scenes(world):
    opened = world.backend.opened(NAME, org=ORG, label="clients")
    client = Client(world.server, opened["refresh_token"])
    seen = [client.token]
    verifier = tokens.Verifier(world.server)

    def refresh():
        as_set(SetCookie(opened["set_cookie"]))
        seen.append(refreshed(client.refresh()))
        equal(client.token, seen[-1], "the browser keeps the rotated cookie, and that one alone")
        hold(seen[-1] != seen[0], "the cookie is rotated", "the same token")
        claims = verifier.verified(client.access)
        wanted = {"iss": "uniqos", "aud": "uniqos-api", "sub": USER}
        equal({name: claims[name] for name in wanted}, wanted, "the access token's claims")
        equal(claims["exp"] - claims["iat"], 900, "expires_in")

    def again():
        for _ in range(3):
            seen.append(refreshed(client.refresh()))
        equal(len(set(seen)), 5, "each refresh rotates: different tokens")

    def inside():
        for token in (seen[-2], seen[0]):
            other = Client(world.server, token)
            refreshed(other.refresh())
            refreshed(other.refresh())
        refreshed(client.refresh())

    def ignored():
        for headers in [[("Authorization", "Basic eDp5")], [("Authorization", "")], [("Idempotency-Key", "k")]]:
            refreshed(send(world, client.token, headers))
        refreshed(send(world, client.token, body={}))
        refreshed(send(world, client.token, body={"anything": 1}))

    def tabs():
        start = world.backend.opened(NAME, org=ORG)
        answers = together([lambda: Client(world.server, start["refresh_token"]).refresh()] * TABS)
        successors = [refreshed(answer) for answer in answers]
        equal(world.one_live_line(NAME, start["session"]["family"]), 1, "one live generation after one race")
        # Whichever answer came last, its cookie is what the tabs share from then on.
        for _ in range(2):
            answers = together([lambda token=token: Client(world.server, token).refresh() for token in successors])
            successors = [refreshed(answer) for answer in answers]
        equal(world.one_live_line(NAME, start["session"]["family"]), 3, "one live generation after three races")

    def expired():
        for settings in ({"UNIQOS_IDLE_SECS": "60"}, {"UNIQOS_ABSOLUTE_SECS": "60"}):
            token = world.operator.open(NAME, org=ORG, settings=settings)["refresh_token"]
            equal(tokens.lifetime_of(token), 60, f"the time that was set: {settings}")
            unauthenticated(send(world, tokens.expired(NAME, token)), "cookie expired")

    def revoked():
        ended = world.backend.opened(NAME, org=ORG)
        tab = Client(world.server, ended["refresh_token"])
        refreshed(tab.refresh())
        answer = world.backend.revoke(NAME, ended["session"]["family"])
        hold(answer.status == 200, "a session is revoked", answer.told())
        for token in (tab.token, ended["refresh_token"]):
            unauthenticated(send(world, token), "cookie sealed")
        unauthenticated(tab.refresh(), "cookie sealed")
        hold(tab.signed_out, "the client signs out", "it does not")

    def suspended():
        world.operator.put_user(NAME, "held")
        token = world.backend.opened(NAME, "held")["refresh_token"]
        world.operator.suspend(NAME, "held")
        unauthenticated(send(world, token), "cookie sealed (the user is suspended)")

    def foreign():
        for product, more in [("dreadnode", {}), ("elastic", {}), ("replyke:demo", {})]:
            token = world.backend.opened(product, **more)["refresh_token"]
            unauthenticated(send(world, token), f"cookie not verifying: a token of {product}")
        for what, token in tokens.foreign(client.token).items():
            unauthenticated(send(world, token), f"cookie not verifying: {what}")
        unauthenticated(send(world, client.access), "cookie not verifying: an access token")
        for what, token in of_nobody(world).items():
            unauthenticated(send(world, token), f"cookie not verifying or unknown: {what}")

    def malformed():
        unauthenticated(send(world), "cookie missing")
        unauthenticated(send(world, "other=1"), "cookie missing")
        for token in ["garbage", "a.b", "a.b.c", "a.b.c.d", "..", f"{client.token}.x", "x" * 4200]:
            error = invalid(send(world, token), 422, "not three base64url parts of JSON, or over 4 kB")
            hold(error["details"], "`details` lists the fields", error)
        for body in ["{", "nonsense", " " * 2_000_000]:
            invalid(send(world, client.token, body=body), 400, "body that is not JSON or too large")
        for body in ["[]", "1", '"text"', "true"]:
            error = invalid(send(world, client.token, body=body), 422, "a body that is JSON but no object")
            hold(error["details"], "`details` lists the fields", error)
        refreshed(client.refresh())

    def several():
        stray = tokens.of_another_keyring(client.token)
        for other in (stray, "garbage", ""):
            for pair in ([other, client.token], [client.token, other]):
                cookies = [f"{COOKIE}={token}" for token in pair]
                refreshed(send(world, "; ".join(cookies)))
        family = world.backend.opened(NAME, org=ORG)["refresh_token"]
        cookies = f"{COOKIE}={family}; {COOKIE}={client.token}"
        invalid(send(world, cookies), 400, "cookies of several families")
        refreshed(send(world, family))
        refreshed(client.refresh())

    def garbage():
        with world.no_store_call():
            for bad in (None, "", "a.b.c", "x" * 4200, *tokens.foreign(client.token).values()):
                send(world, bad)
                send(world, bad, CROSS_SITE[0])

    def methods():
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = send(world, client.token, method=method)
            answer.is_(405, "for other methods")
            hold("POST" in (answer.header("allow") or ""), "405 with `Allow`", answer.told())
            no_cookie(answer, "405")
        refreshed(client.refresh())

    def browser():
        browser_can_call(world.server, PATH, ORIGIN, SENT_HEADERS, EXPOSED)
        for headers in CROSS_SITE:
            refused(send(world, client.token, headers), 403, "permission_denied", "permission", f"cross-site: {headers}")
        for headers in SAME_SITE + [[("Origin", ORIGIN)], [("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")]]:
            refreshed(send(world, client.token, headers))

    def slow():
        world.proxy.play("slow")
        try:
            refreshed(client.refresh())
        finally:
            world.proxy.play("pass")

    yield "refresh", refresh
    yield "refresh again, three times", again
    yield "replay inside the window rotates again, and all go on", inside
    yield "Authorization and a body of no meaning are ignored", ignored
    yield f"{TABS} tabs at once: all go on, on one live line", tabs
    yield "expired token", expired
    yield "revoked session", revoked
    yield "suspended user", suspended
    yield "foreign tokens", foreign
    yield "malformed cookies and bodies", malformed
    yield "several cookies", several
    yield "garbage costs no store call", garbage
    yield "wrong methods", methods
    yield "preflight, CORS and the cross-site rule", browser
    yield "store slow, within the time-outs", slow


# The cross-site rule: an Origin that is not listed with anything but same-origin, and a sibling subdomain.
CROSS_SITE = [
    [("Origin", "https://evil.example")],
    [("Origin", "null")],
    [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
]
SAME_SITE = [[("Sec-Fetch-Site", "same-origin")], [("Sec-Fetch-Site", "none")], []]


def of_nobody(world):
    """Of a session of its own: a generation that never was closes it."""
    return tokens.nobodys(NAME, world.backend.opened(NAME, org=ORG)["refresh_token"])


class Outage:
    """A signed-in browser while the store fails."""

    def __init__(self, world):
        self.client = Client(world.server, world.backend.opened(NAME, org=ORG)["refresh_token"])
        refreshed(self.client.refresh())

    def during(self, _):
        self.before = self.client.token
        refused(self.client.refresh(), 500, "internal_error", "internal", "ours; the SDK retries")
        hold(not self.client.signed_out, "the client keeps its session", "it signed out")
        equal(self.client.token, self.before, "no cookie is cleared or set")

    def after(self):
        refreshed(self.client.refresh())
        refreshed(self.client.refresh())
        refreshed(Client(self.client.server, self.before).refresh())


def tight(world):
    """With a short window and low limits, one instance of each function."""
    start = world.backend.opened(NAME, org=ORG)
    client = Client(world.server, start["refresh_token"])
    client.refresh()
    rotated_at = time.monotonic()

    def after_window():
        time_passes(rotated_at + int(TIGHT["UNIQOS_GRACE_SECS"]) + 0.5 - time.monotonic())
        cleared(send(world, start["refresh_token"]), "reused after the window, the whole family is revoked")
        cleared(client.refresh(), "sealed: the newest token too")
        equal(client.jar.named(COOKIE), [], "the cookies that the browser is left with")
        equal(world.backend.state(NAME, start["session"]["family"])["state"], "reuse", "the session's state")

    def limit():
        token = world.backend.opened(NAME, org=ORG)["refresh_token"]
        answers = together([lambda: send(world, token)] * 24)
        limited = [answer for answer in answers if answer.status == 429]
        hold(limited, "429 where the bucket is empty", [answer.status for answer in answers])
        for answer in answers:
            if answer.status == 200:
                refreshed(answer)
                equal(answer.header("x-ratelimit-limit"), TIGHT["UNIQOS_RATE_LIMIT"], "X-RateLimit-Limit")
        for answer in limited:
            is_limited(answer)
            numbers = [answer.header(name) or "" for name in QUOTA]
            hold(all(number.isdigit() for number in numbers), "on 429 the quota of the organization", answer.told())
            reset = answer.header("x-quota-reset") or ""
            hold(ISO_8601.fullmatch(reset), "X-Quota-Reset (ISO-8601)", answer.told())
        time_passes(int(limited[-1].header("retry-after")))
        refreshed(send(world, token))

    def addresses():
        answers = [send(world, "a.b.c") for _ in range(12)]
        limited = [answer for answer in answers if answer.status == 429]
        hold(limited, "per IP where the token does not verify", [answer.status for answer in answers])
        for answer in limited:
            is_limited(answer)
            absent(answer, QUOTA, "where an organization is known")

    yield "replay after the window: 401, cookie cleared, the whole family", after_window
    yield "rate limit of the organization, with its quota", limit
    yield "rate limit of an address", addresses


def is_limited(answer):
    refused(answer, 429, "rate_limit_exceeded", "rate_limit", "bucket empty")
    limits = [answer.header(name) for name in RATE]
    hold(None not in limits and ISO_8601.fullmatch(limits[2]), f"{', '.join(RATE)} on 429, Reset ISO-8601", answer.told())
    equal(limits[1], "0", "X-RateLimit-Remaining")
    hold((answer.header("retry-after") or "").isdigit(), "Retry-After (whole seconds)", answer.told())
    hold(int(answer.header("retry-after")) >= 1, "Retry-After is worth waiting for", answer.told())


def off(world):
    """With the window off."""
    token = world.backend.opened(NAME, org=ORG)["refresh_token"]

    def conflict():
        answers = together([lambda: send(world, token)] * 6)
        won = [answer for answer in answers if answer.status == 200]
        equal(len(won), 1, "how many of six at once rotate with grace off")
        for answer in answers:
            if answer.status != 200:
                refused(answer, 409, "conflict", "conflict", "nothing revoked, try again")
        refreshed(send(world, refreshed(won[0])))

    yield "grace off: one of six at once rotates, the others conflict", conflict
