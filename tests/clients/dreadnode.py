"""Dreadnode's two clients: the CLI, with a cookie jar, and the SDK, which sends its token in the body. Both decode tokens."""

import re
import time

import tokens
from jar import Jar, SetCookie
from report import equal, hold, together
from stack import ORG, USER, time_passes
from tokens import claims_of
from uniqos import CROSS_SITE, SAME_SITE
from wire import JWT, browser_can_call, is_json, no_cookie

NAME = "dreadnode"
PATH = "/api/v1/auth/refresh"
COOKIE, ACCESS = "refresh_token", "access_token"
ORIGIN = "https://app.dreadnode.example"
AGENT = "dreadnode-cli/1.4.0"
SESSION_SECS = 14 * 24 * 60 * 60
TABS = 16
SETTINGS = {
    "DREADNODE_ALLOWED_ORIGINS": ORIGIN,
    "DREADNODE_GRACE_SECS": "60",
    "DREADNODE_RATE_LIMIT": "1000",
    "DREADNODE_ADDRESS_RATE_LIMIT": "1000",
    "DREADNODE_MIN_CLIENT_VERSION": "1.2.0",
}
TIGHT = {
    "DREADNODE_GRACE_SECS": "2",
    "DREADNODE_RATE_LIMIT": "4",
    "DREADNODE_ADDRESS_RATE_LIMIT": "4",
    "DREADNODE_MIN_CLIENT_VERSION": "",
}
OFF = {"DREADNODE_GRACE_SECS": "0"}
# Order of an error's members is nobody's business; these are all of them.
ENVELOPE = ["code", "detail", "errors", "type"]


class Cli:
    """Puts its tokens into a jar by itself, for the whole host, and finds its own again by name."""

    def __init__(self, server, token):
        self.server, self.jar, self.signed_out = server, Jar(), False
        self.jar.put(COOKIE, token, "/")

    @property
    def token(self):
        return self.jar.only(COOKIE)

    def refresh(self):
        claims_of(self.token)["exp"]
        headers = [("Cookie", self.jar.header(PATH)), ("User-Agent", AGENT), ("Content-Type", "application/json")]
        answer = self.server.send("POST", PATH, headers)
        self.jar.take(answer)
        self.signed_out = self.signed_out or answer.status in (401, 403, 404)
        return answer


class Sdk:
    """Sends its token in the body; the successor is the one that the cookie carries."""

    def __init__(self, server, token):
        self.server, self.token = server, token

    def refresh(self):
        headers = [("User-Agent", "dreadnode-sdk/1.4.0"), ("Content-Type", "application/json")]
        answer = self.server.send("POST", PATH, headers, {"refresh_token": self.token})
        if answer.status == 200:
            self.token = answer.cookie(COOKIE).value
        return answer


def send(world, cookie=None, body=None, headers=(), kind="application/json", method="POST"):
    sent = [("Cookie", cookie if "=" in cookie else f"{COOKIE}={cookie}")] if cookie is not None else []
    sent += [("Content-Type", kind)] if body is not None and kind else []
    return world.server.send(method, PATH, [*sent, *headers], body)


def refreshed(answer, orgs=("acme", "globex"), default="acme"):
    """A 200 as the contract has it; returns the successor."""
    answer.is_(200, "the refresh token is rotated")
    is_json(answer)
    body = answer.json()
    equal(sorted(body), ["access_token", "default_org", "orgs"], "the members of a 200's body")
    named = {key: {"key": key, "name": key.capitalize()} for key in orgs}
    equal(sorted(body["orgs"], key=lambda org: org["key"]), [named[key] for key in orgs], "orgs")
    equal(body["default_org"], named.get(default), "default_org")
    equal(len(answer.cookies()), 2, "the number of Set-Cookie")
    access = as_set(answer.cookie(ACCESS), 900)
    equal(access, body["access_token"], "the cookie access_token carries the access token")
    return as_set(answer.cookie(COOKIE), None)


def as_set(cookie, secs):
    hold(JWT.fullmatch(cookie.value), f"{cookie.name} carries a three-part JWT", cookie.line)
    hold("exp" in claims_of(cookie.value), "a token with `exp`", sorted(claims_of(cookie.value)))
    flags = [(name, value) for name, value in cookie.attributes if name != "Max-Age"]
    equal(flags, [("Path", "/"), ("HttpOnly", ""), ("SameSite", "Lax")], "Path=/; HttpOnly; SameSite=Lax")
    age = int(cookie.get("Max-Age"))
    if secs is None:
        left = claims_of(cookie.value)["exp"] - time.time()
        hold(abs(age - left) < 3, "Max-Age is what the token has left", cookie.get("Max-Age"))
    else:
        hold(secs - 2 <= age <= secs, f"Max-Age: the access token's lifetime, {secs}", age)
    return cookie.value


def refused(answer, status, kind, contract):
    """An error as the contract's table has it."""
    answer.is_(status, f"{kind}, {contract}")
    is_json(answer)
    error = answer.json()
    equal(sorted(error), ENVELOPE, "the members of an error")
    equal((error["code"], error["type"]), (status, kind), "code and type")
    hold(isinstance(error["detail"], str) and error["detail"], "`detail` is always a string", error)
    if status != 422:
        equal(error["errors"], None, "`errors` where no field is wrong")
    if status not in (401, 403, 404):
        no_cookie(answer, "nothing that ends a session")
    return error


def unauthenticated(answer, contract):
    return refused(answer, 401, "authentication_error", contract)


def invalid(answer, items, contract):
    error = refused(answer, 422, "validation_error", contract)
    equal(error["errors"], items, f"items as FastAPI writes them, {contract}")


def item(message, kind, *loc):
    return [{"loc": ["body", *loc], "msg": message, "type": kind}]


MISSING = item("Field required", "missing", "refresh_token")
NOT_A_STRING = item("Input should be a valid string", "string_type", "refresh_token")
NOT_AN_OBJECT = item(
    "Input should be a valid dictionary or object to extract fields from", "model_attributes_type"
)


def scenes(world):
    opened = world.backend.opened(NAME, org=ORG)
    cli = Cli(world.server, opened["refresh_token"])
    seen = [cli.token]
    verifier = tokens.Verifier(world.server)

    def refresh():
        as_set(SetCookie(opened["set_cookie"]), None)
        as_set(SetCookie(opened["set_access_cookie"]), 900)
        seen.append(refreshed(cli.refresh()))
        equal(cli.token, seen[-1], "the CLI's jar ends with one cookie, the rotated one")
        claims = verifier.verified(cli.jar.only(ACCESS))
        wanted = {"iss": "dreadnode", "aud": "dreadnode-api", "sub": USER}
        equal({name: claims[name] for name in wanted}, wanted, "the access token's claims")
        equal(claims["exp"] - claims["iat"], 900, "the access token's lifetime")

    def again():
        for _ in range(3):
            seen.append(refreshed(cli.refresh()))
        equal(len(set(seen)), 5, "each refresh rotates: different tokens")

    def by_body():
        sdk = Sdk(world.server, world.backend.opened(NAME, org=ORG)["refresh_token"])
        first = sdk.token
        for _ in range(3):
            refreshed(sdk.refresh())
        # One that never looks at cookies goes on with its first token while the window lasts.
        for _ in range(2):
            refreshed(Sdk(world.server, first).refresh())

    def inside():
        for token in (seen[-2], seen[0]):
            other = Cli(world.server, token)
            refreshed(other.refresh())
            refreshed(other.refresh())
        refreshed(cli.refresh())

    def precedence():
        good, bad = cli.token, tokens.of_another_keyring(cli.token)
        refreshed(send(world, f"{COOKIE}=", {"refresh_token": good}))
        refreshed(send(world, good, {"refresh_token": bad}))
        unauthenticated(send(world, bad, {"refresh_token": good}), "the body counts only if the cookie is absent or empty")
        refreshed(send(world, f"{COOKIE}={bad}; {COOKIE}={good}"))
        unauthenticated(send(world, f"{COOKIE}={good}; {COOKIE}={bad}"), "of two cookies the last")
        refreshed(send(world, good, "null"))

    def tabs():
        start = world.backend.opened(NAME, org=ORG)
        clients = [Cli, Sdk] * (TABS // 2)
        successors = [start["refresh_token"]] * TABS
        for generation in (1, 2, 3):
            answers = together(
                [
                    lambda client=client, token=token: client(world.server, token).refresh()
                    for client, token in zip(clients, successors)
                ]
            )
            successors = [refreshed(answer) for answer in answers]
            live = world.one_live_line(NAME, start["session"]["family"])
            equal(live, generation, "the one live generation after each race")

    def expired():
        token = world.operator.open(NAME, settings={"DREADNODE_IDLE_SECS": "60"})["refresh_token"]
        equal(tokens.lifetime_of(token), 60, "the idle time that was set")
        token = tokens.expired(NAME, token)
        unauthenticated(send(world, token), "expired")
        unauthenticated(send(world, body={"refresh_token": token}), "expired")

    def revoked():
        ended = world.backend.opened(NAME, org=ORG)
        other = Cli(world.server, ended["refresh_token"])
        refreshed(other.refresh())
        world.operator.revoke(NAME, ended["session"]["family"])
        unauthenticated(send(world, ended["refresh_token"]), "sealed")
        unauthenticated(send(world, body={"refresh_token": other.token}), "sealed")
        unauthenticated(other.refresh(), "sealed")
        hold(other.signed_out, "the client signs out", "it does not")

    def accounts():
        for user in ("held", "gone", "alone"):
            world.operator.put_user(NAME, user)
        held, gone, alone = (world.backend.opened(NAME, user)["refresh_token"] for user in ("held", "gone", "alone"))
        world.operator.suspend(NAME, "held")
        world.operator.remove(NAME, "gone")
        refused(send(world, held), 403, "forbidden_error", "the user is suspended")
        refused(send(world, body={"refresh_token": held}), 403, "forbidden_error", "the user is suspended")
        refused(send(world, gone), 404, "not_found_error", "the user no longer exists")
        refreshed(send(world, alone), orgs=(), default=None)

    def foreign():
        for product in ("uniqos", "elastic", "replyke:demo"):
            token = world.backend.opened(product)["refresh_token"]
            unauthenticated(send(world, token), f"invalid: a token of {product}")
            unauthenticated(send(world, body={"refresh_token": token}), f"invalid: a token of {product}")
        for what, token in tokens.foreign(cli.token).items():
            unauthenticated(send(world, token), f"invalid: {what}")
        unauthenticated(send(world, cli.jar.only(ACCESS)), "invalid: an access token")
        other = world.backend.opened(NAME, org=ORG)["refresh_token"]
        for what, token in tokens.nobodys(NAME, other).items():
            unauthenticated(send(world, token), f"invalid: {what}")
        refreshed(cli.refresh())

    def malformed():
        unauthenticated(send(world), "no token")
        unauthenticated(send(world, body="null"), "no token; `null` is accepted")
        for token in ["garbage", "a.b", "a.b.c", "x" * 4200]:
            unauthenticated(send(world, token), "invalid")
            unauthenticated(send(world, body={"refresh_token": token}), "invalid")
        unauthenticated(send(world, body={"refresh_token": ""}), "no token")
        good = {"refresh_token": cli.token}
        invalid(send(world, body={}), MISSING, "`{}`")
        invalid(send(world, body={"refreshToken": cli.token}), MISSING, "another member")
        for value in (None, 7, 1.5, True, [], {}):
            invalid(send(world, body={"refresh_token": value}), NOT_A_STRING, f"{value!r}")
        for body in ("[]", '["a"]', '"text"'):
            invalid(send(world, body=body), NOT_AN_OBJECT, f"the body {body}")
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            invalid(send(world, body=good, kind=kind), NOT_AN_OBJECT, f"content type {kind}")
        for body in ("{", '{"refresh_token": }', "nonsense"):
            answer = send(world, body=body)
            errors = refused(answer, 422, "validation_error", "broken JSON")["errors"] or [{}]
            hold(
                len(errors) == 1
                and re.fullmatch(r"\['body', \d+\]", str(errors[0].get("loc")))
                and errors[0].get("msg") == "JSON decode error"
                and errors[0].get("type") == "json_invalid",
                '["body",<offset>], `JSON decode error`, `json_invalid`',
                errors,
            )
        refused(send(world, body=" " * 2_000_000), 400, "invalid_request_error", "malformed request (a bounded body)")
        # 422 stands before the cookie is looked at.
        invalid(send(world, cli.token, {}), MISSING, "before what the cookie says")
        refreshed(cli.refresh())

    def versions():
        old = [("User-Agent", "dreadnode-cli/1.1.9")]
        for body in (None, {}, "{"):
            refused(send(world, cli.token, body, old), 426, "upgrade_required_error", "below the minimum; before all else")
        refused(send(world, None, None, [("User-Agent", "dreadnode-sdk/0.9")]), 426, "upgrade_required_error", "below it")
        for agent in ("dreadnode-cli/1.2.0", "dreadnode-sdk/10.0.0", "Mozilla/5.0", "other/0.1"):
            refreshed(send(world, cli.token, headers=[("User-Agent", agent)]))
        refreshed(cli.refresh())

    def garbage():
        with world.no_store_call():
            for body in (None, "null", "{", {}, {"refresh_token": "a.b.c"}):
                send(world, body=body)
            for bad in tokens.foreign(cli.token).values():
                send(world, bad)
                send(world, body={"refresh_token": bad})

    def methods():
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = send(world, cli.token, method=method)
            answer.is_(405, "for other methods")
            hold("POST" in (answer.header("allow") or ""), "405 with `Allow`", answer.told())
            no_cookie(answer, "405")

    def browser():
        exposed = ["X-Request-Id", "Retry-After"]
        browser_can_call(world.server, PATH, ORIGIN, ["content-type", "authorization"], exposed)
        for headers in CROSS_SITE:
            answer = send(world, cli.token, headers=headers)
            refused(answer, 403, "forbidden_error", f"the call is cross-site: {headers}")
            no_cookie(answer, "cross-site")
            invalid(send(world, cli.token, {}, headers), MISSING, "422 comes before cross-site 403")
        for headers in SAME_SITE + [[("Origin", ORIGIN)], [("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")]]:
            refreshed(send(world, cli.token, headers=headers))

    def slow():
        world.proxy.play("slow")
        try:
            refreshed(cli.refresh())
        finally:
            world.proxy.play("pass")

    yield "refresh by cookie: both cookies, the organizations", refresh
    yield "refresh again, three times", again
    yield "refresh by body: the successor is in the cookie", by_body
    yield "replay inside the window, and all go on", inside
    yield "cookie before body, the last of two cookies", precedence
    yield f"{TABS} clients at once, by cookie and body: all go on, on one live line", tabs
    yield "expired token", expired
    yield "revoked session", revoked
    yield "suspended, removed, without organizations", accounts
    yield "foreign tokens", foreign
    yield "malformed: every shape as FastAPI tells it", malformed
    yield "client versions", versions
    yield "garbage costs no store call", garbage
    yield "wrong methods", methods
    yield "preflight, CORS and the cross-site rule", browser
    yield "store slow, within the time-outs", slow


class Outage:
    """Both clients while the store fails."""

    def __init__(self, world):
        self.cli, self.sdk = (
            client(world.server, world.backend.opened(NAME, org=ORG)["refresh_token"]) for client in (Cli, Sdk)
        )
        refreshed(self.cli.refresh())
        refreshed(self.sdk.refresh())

    def during(self, fault):
        before = self.cli.token, self.sdk.token, self.cli.jar.only(ACCESS)
        timed_out = fault in ("hang", "late")
        status, kind = (504, "gateway_timeout_error") if timed_out else (502, "bad_gateway_error")
        for answer in together([self.cli.refresh, self.sdk.refresh]):
            refused(answer, status, kind, "the store timed out" if timed_out else "the store failed")
        hold(not self.cli.signed_out, "the client keeps its session", "it signed out")
        after = self.cli.token, self.sdk.token, self.cli.jar.only(ACCESS)
        hold(after == before, "no cookie is cleared or set", "another one")

    def after(self):
        for client in (self.cli, self.sdk):
            refreshed(client.refresh())
            refreshed(client.refresh())


def tight(world):
    """With a short window and low limits, one instance of each function, and no least version."""
    start = world.backend.opened(NAME, org=ORG)
    cli = Cli(world.server, start["refresh_token"])
    cli.refresh()
    rotated_at = time.monotonic()

    def any_version():
        refreshed(send(world, cli.token, headers=[("User-Agent", "dreadnode-cli/0.0.1")]))

    def after_window():
        time_passes(rotated_at + int(TIGHT["DREADNODE_GRACE_SECS"]) + 0.5 - time.monotonic())
        unauthenticated(send(world, start["refresh_token"]), "reused")
        unauthenticated(cli.refresh(), "sealed: the newest token too")
        equal(world.backend.state(NAME, start["session"]["family"])["state"], "reuse", "the session's state")

    def limit():
        token = world.backend.opened(NAME, org=ORG)["refresh_token"]
        answers = together([lambda: send(world, token)] * 24)
        limited = [answer for answer in answers if answer.status == 429]
        hold(limited, "429 where the bucket is empty", [answer.status for answer in answers])
        for answer in limited:
            is_limited(answer)
        time_passes(int(limited[-1].header("retry-after")))
        refreshed(send(world, token))

    def addresses():
        answers = [send(world, "a.b.c") for _ in range(12)]
        hold(any(answer.status == 429 for answer in answers), "garbage is limited", [answer.status for answer in answers])
        for answer in answers:
            # The order of the contract has 401 for what does not verify before 429.
            hold(answer.status in (401, 429), "401, or 429 where garbage is limited", answer.told())
            is_limited(answer) if answer.status == 429 else unauthenticated(answer, "invalid")

    yield "no least version by default", any_version
    yield "replay after the window: 401 for the whole family", after_window
    yield "rate limit", limit
    yield "rate limit of an address", addresses


def is_limited(answer):
    error = refused(answer, 429, "rate_limit_error", "bucket empty")
    hold("credit" not in error["detail"].lower(), 'the text of a 429 never contains "credit"', error)
    hold((answer.header("retry-after") or "0").isdigit(), "Retry-After", answer.told())
    hold(int(answer.header("retry-after") or 0) >= 1, "with `Retry-After`", answer.told())


def off(world):
    """With the window off."""
    token = world.backend.opened(NAME, org=ORG)["refresh_token"]

    def conflict():
        answers = together([lambda: send(world, token)] * 6)
        won = [answer for answer in answers if answer.status == 200]
        equal(len(won), 1, "how many of six at once rotate with grace off")
        for answer in answers:
            if answer.status != 200:
                refused(answer, 409, "already_exists_error", "a successor of this token is being made")
        refreshed(send(world, refreshed(won[0])))

    yield "grace off: one of six at once rotates, the others conflict", conflict
