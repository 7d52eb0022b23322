"""Replyke's SDK: keeps one refresh token for as long as the session lives, refreshes on 403 only, and several times at once."""

import time

import tokens
from jar import Jar, SetCookie
from report import equal, hold, together
from stack import PROJECT, USER, time_passes
from tokens import claims_of, encoded, with_header
from uniqos import CROSS_SITE, SAME_SITE
from wire import ISO_8601, JWT, browser_can_call, is_json, no_cookie

NAME = "replyke"
TENANT = f"replyke:{PROJECT}"
COOKIE = "replyke-refresh-jwt"
ORIGIN = "https://forum.example"
RATE = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
USER_MEMBERS = """id foreignId role email username name avatar bio location birthdate metadata reputation isVerified isActive
    lastActive suspensions createdAt updatedAt""".split()
NOBODY = {"user": None, "accessToken": None}
AT_ONCE = 16
SETTINGS = {"REPLYKE_ALLOWED_ORIGINS": ORIGIN, "REPLYKE_RATE_LIMIT": "1000", "REPLYKE_RATE_PERIOD_SECS": "1"}
TIGHT = {
    "REPLYKE_ROTATE_COOKIES": "true",
    "REPLYKE_GRACE_SECS": "2",
    "REPLYKE_RATE_LIMIT": "30",
    "REPLYKE_RATE_PERIOD_SECS": "300",
}
# Of a limit in five minutes.
LIMITED = "Too many attempts to request a new access token, please wait 5 minutes"


def path(project=PROJECT):
    return f"/api/v6/{project}/auth/request-new-access-token"


class Client:
    """Keeps its refresh token whatever it is answered, but for a 403."""

    def __init__(self, server, token):
        self.server, self.token, self.access, self.signed_out = server, token, None, False

    def refresh(self):
        headers = [("Content-Type", "application/json")]
        answer = self.server.send("POST", path(), headers, {"refreshToken": self.token})
        if answer.status == 200:
            self.access = answer.json()["accessToken"]
            # Null for a client that sent a token means that it was not taken for one.
            hold(self.access, "an access token for a token that was sent", answer.told())
        self.signed_out = self.signed_out or answer.status == 403
        return answer


def send(world, body=None, cookie=None, headers=(), project=PROJECT, kind="application/json", method="POST"):
    sent = [("Cookie", cookie if "=" in cookie else f"{COOKIE}={cookie}")] if cookie is not None else []
    sent += [("Content-Type", kind)] if body is not None and kind else []
    return world.server.send(method, path(project), [*sent, *headers], body)


def with_token(token):
    return {"refreshToken": token}


def common(answer):
    """`X-RateLimit-*` on every answer, the reset in epoch seconds."""
    values = [answer.header(name) for name in RATE]
    hold(all((value or "").isdigit() for value in values), f"{', '.join(RATE)} on every answer", answer.told())
    limit, remaining, reset = map(int, values)
    hold(0 <= remaining <= limit, "what remains of the limit", answer.told())
    hold(abs(reset - time.time()) < 400, "X-RateLimit-Reset: epoch seconds", answer.told())
    return remaining


def refreshed(answer, rotates=False):
    """A 200 as row 6 has it; returns the body."""
    answer.is_(200, "row 6, ok")
    is_json(answer)
    common(answer)
    body = answer.json()
    equal(sorted(body), ["accessToken", "success", "user"], "row 6: success, accessToken, user, and no refresh token")
    equal(body["success"], True, "success")
    hold(JWT.fullmatch(body["accessToken"] or ""), "accessToken is a JWT", answer.told())
    if not rotates:
        no_cookie(answer, "v6 does not rotate")
    equal(sorted(body["user"]), sorted(USER_MEMBERS), "the members of the user, null where unset")
    return body


def nobody(answer):
    """Row 1."""
    answer.is_(200, "row 1: no token")
    is_json(answer)
    common(answer)
    equal(answer.json(), NOBODY, "row 1, and no `success`")
    no_cookie(answer, "row 1")


def refused(answer, code, error, contract, details=None):
    answer.is_(403, f"{code}, {contract}")
    is_json(answer)
    common(answer)
    wanted = {"error": error, "code": code, **({"details": details} if details else {})}
    equal(answer.json(), wanted, contract)


def invalid(answer, details, contract="row 2"):
    refused(answer, "auth/refresh-token-invalid", "Invalid or expired refresh token.", contract, details)


def of_another_project(answer, contract):
    refused(answer, "auth/invalid-refresh-token", "Invalid refresh token.", f"row 3, {contract}")


def unrecognized(answer, contract):
    refused(answer, "auth/refresh-token-mismatch", "Refresh token not recognized.", f"row 4, {contract}")


def scenes(world):
    opened = world.backend.opened(TENANT)
    token = opened["refresh_token"]
    client = Client(world.server, token)
    verifier = tokens.Verifier(world.server)

    def refresh():
        body = refreshed(client.refresh())
        claims = verifier.verified(body["accessToken"])
        wanted = {"sub": USER, "projectId": PROJECT, "role": "visitor", "aud": "replyke.com", "iss": "replyke.com"}
        equal({name: claims.get(name) for name in wanted}, wanted, "the access token's claims")
        equal(claims["exp"] - claims["iat"], 1800, "access token 30 minutes")
        equal(claims_of(token)["exp"] - claims_of(token)["iat"], 2592000, "refresh 30 days")
        user = body["user"]
        equal(user["id"], USER, "user.id")
        equal(user["location"], {"type": "Point", "coordinates": [13.405, 52.52]}, "location, [lng, lat]")
        equal(user["metadata"], {"theme": "dark"}, "metadata")
        hold("no answer shows this" not in str(body), "never secret metadata", body)

    def again():
        access = {refreshed(client.refresh())["accessToken"] for _ in range(4)}
        for one in access:
            verifier.verified(one)
        equal(client.token, token, "the client keeps its refresh token")

    def by_cookie():
        cookie = SetCookie(opened["set_cookie"])
        flags = [("Path", "/"), ("HttpOnly", ""), ("SameSite", "None"), ("Max-Age", "2592000")]
        equal((cookie.name, cookie.attributes), (COOKIE, flags), "the cookie, where one is set")
        jar = Jar()
        jar.put(cookie.name, cookie.value, cookie.get("Path"))
        for _ in range(2):
            refreshed(send(world, cookie=jar.header(path())))

    def at_once():
        for answer in together([client.refresh] * AT_ONCE):
            refreshed(answer)
        cookie = lambda: send(world, cookie=token)  # noqa: E731
        for answer in together([client.refresh, cookie] * (AT_ONCE // 2)):
            refreshed(answer)
        equal(world.one_live_line(TENANT, opened["session"]["family"]), 0, "v6 does not rotate: the generation")

    def without():
        for body in (None, {}, with_token(None), with_token(""), {"other": 1}):
            nobody(send(world, body))
            nobody(send(world, body, cookie=f"{COOKIE}="))
            nobody(send(world, body, project="no-such-project"))

    def precedence():
        stale = tokens.of_another_keyring(token)
        invalid(send(world, with_token(token), cookie=stale), "invalid signature", "the cookie wins even if stale")
        refreshed(send(world, with_token(stale), cookie=token))
        refreshed(send(world, with_token(token), cookie=f"{COOKIE}="))
        refreshed(send(world, cookie=f"{COOKIE}={token}; {COOKIE}={stale}"))
        invalid(send(world, cookie=f"{COOKIE}={stale}; {COOKIE}={token}"), "invalid signature", "of two cookies the first")

    def expired():
        settings = {"REPLYKE_IDLE_SECS": "60"}
        token = world.operator.open(NAME, project=PROJECT, settings=settings)["refresh_token"]
        equal(tokens.lifetime_of(token), 60, "the idle time that was set")
        old = tokens.expired(NAME, token)
        invalid(send(world, with_token(old)), "jwt expired")
        invalid(send(world, cookie=old), "jwt expired")

    def revoked():
        ended = world.backend.opened(TENANT)
        other = Client(world.server, ended["refresh_token"])
        refreshed(other.refresh())
        world.backend.revoke(TENANT, ended["session"]["family"])
        unrecognized(other.refresh(), "the session is sealed")
        unrecognized(send(world, cookie=ended["refresh_token"]), "the session is sealed")
        hold(other.signed_out, "the client signs out", "it does not")

    def accounts():
        for user in ("held", "gone", "bare"):
            world.operator.put_user(TENANT, user)
        held, gone, bare = (world.backend.opened(TENANT, user)["refresh_token"] for user in ("held", "gone", "bare"))
        shown = refreshed(send(world, with_token(bare)))["user"]
        wanted = {"id": "bare", "foreignId": None, "avatar": None, "location": None, "birthdate": None, "bio": None}
        equal({name: shown[name] for name in wanted}, wanted, "null where unset")
        world.operator.suspend(TENANT, "held")
        world.operator.remove(TENANT, "gone")
        unrecognized(send(world, with_token(held)), "the session is sealed")
        for answer in (send(world, with_token(gone)), send(world, cookie=gone)):
            refused(answer, "auth/no-user-found", "User not found.", "row 5: the user is gone")

    def suspensions():
        suspended = refreshed(client.refresh())["user"]["suspensions"]
        equal([sorted(one) for one in suspended], [["endDate", "reason", "startDate"]], "active ones, with these members")
        equal(suspended[0]["reason"], "under review", "the active one of two")
        hold(ISO_8601.fullmatch(suspended[0]["startDate"]), "startDate", suspended)

    def projects():
        world.operator.put_user("replyke:other", USER)
        other = world.backend.opened("replyke:other")["refresh_token"]
        refreshed(send(world, with_token(other), project="other"))
        for cross, project in ((token, "other"), (other, PROJECT), (token, "no-such-project")):
            of_another_project(send(world, with_token(cross), project=project), f"its project is not the path's: {project}")
            of_another_project(send(world, cookie=cross, project=project), f"its project is not the path's: {project}")
        # A refused token leaves its own project's session as it was.
        refreshed(client.refresh())
        refreshed(send(world, cookie=other, project="other"))

    def removed_project():
        here, there = "replyke:closing", "replyke:staying"
        for tenant in (here, there):
            world.operator.put_user(tenant, USER)
        opened, other = world.backend.opened(here), world.backend.opened(there)["refresh_token"]
        mine, ask = opened["refresh_token"], lambda token, project, **by: send(world, with_token(token), project=project)  # noqa: E731
        world.operator.run("project", "put", "closing", "--name", "Closing")
        refreshed(ask(mine, "closing"))
        world.operator.run("project", "remove", "closing")
        of_another_project(ask(mine, "closing"), "an unknown project")
        of_another_project(send(world, cookie=mine, project="closing"), "an unknown project")
        answer = world.backend.open(here).is_(403, "no session is opened in it")
        equal(answer.json()["error"]["code"], "project_not_active", "no session is opened in it")
        refreshed(ask(other, "staying"))
        # Whoever has no token of it is answered alike for one that is there, one that was removed and one that never was.
        strangers = [None, {}, with_token("a.b.c"), with_token(7), with_token(tokens.of_another_keyring(mine)), with_token(token)]
        for body in strangers:
            told = [send(world, body, project=project) for project in ("staying", "closing", "never-was")]
            same = [(answer.status, answer.body, sorted(name for name, _ in answer.headers)) for answer in told]
            hold(same[0] == same[1] == same[2], f"one answer, whichever project: {body}", same)
        world.operator.run("project", "put", "closing", "--status", "active")
        refreshed(ask(mine, "closing"))

    def foreign():
        for product in ("uniqos", "dreadnode"):
            strange = world.backend.opened(product)["refresh_token"]
            invalid(send(world, with_token(strange)), "invalid signature", f"row 2, a token of {product}")
        for what, bad in tokens.foreign(token).items():
            details = "invalid algorithm" if what == "alg none" else "invalid signature"
            invalid(send(world, with_token(bad)), details, f"row 2, {what}")
        other = world.backend.opened(TENANT)["refresh_token"]
        strange = tokens.nobodys(NAME, other)
        unrecognized(send(world, with_token(strange["a session that never was"])), "the session is unknown")
        invalid(send(world, with_token(strange["not valid yet"])), "jwt not active")
        for claim in ("sub", "jti"):
            without = tokens.signed_well(NAME, other, **{claim: None})
            of_another_project(send(world, with_token(without)), f"no `{claim}`")
        for what in ("another audience", "another issuer"):
            answer = send(world, with_token(strange[what])).is_(403, what)
            codes = ("auth/refresh-token-invalid", "auth/invalid-refresh-token")
            hold(answer.json()["code"] in codes, f"row 2 or 3, {what}", answer.told())
        refreshed(send(world, with_token(other)))
        for bad in (client.access, world.backend.opened("elastic")["refresh_token"]):
            answer = send(world, with_token(bad)).is_(403, "row 2: an access token is no refresh token")
            equal(answer.json()["code"], "auth/refresh-token-invalid", "row 2")

    def malformed():
        header, payload, signature = token.split(".")
        words = [("garbage", "jwt malformed"), ("a.b", "jwt malformed"), ("a.b.c.d", "jwt malformed")]
        words += [("a.b.c", "invalid token"), (f"{header}.{payload}.", "jwt signature is required")]
        words += [(f"{encoded(b'x')}.{payload}.{signature}", "invalid token")]
        words += [(with_header(token, alg="HS512"), "invalid algorithm")]
        for bad, details in words:
            invalid(send(world, with_token(bad)), details, f"row 2, {details}")
            invalid(send(world, cookie=bad), details, f"row 2, {details}")
        for value in (7, True, {"a": 1}, ["a"]):
            invalid(send(world, with_token(value)), "jwt must be a string", f"row 2, {value!r}")
        for body in ("{", "nonsense"):
            unreadable(send(world, body), 400, "broken JSON")
        unreadable(send(world, {"refreshToken": token, "padding": "x" * 110_000}), 413, "a body over 100 kB")
        refreshed(send(world, {"refreshToken": token, "padding": "x" * 90_000}))
        refreshed(client.refresh())

    def garbage():
        with world.no_store_call():
            for body in (None, {}, "{", with_token(None), with_token("a.b.c"), with_token(7)):
                send(world, body)
            for bad in tokens.foreign(token).values():
                send(world, with_token(bad))
                send(world, cookie=bad)

    def methods():
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = send(world, cookie=token, method=method)
            common(answer.is_(405, "for other methods"))
            hold("POST" in (answer.header("allow") or ""), "405 with `Allow`", answer.told())

    def browser():
        exposed = [*RATE, "X-Request-Id", "Retry-After"]
        browser_can_call(world.server, path(), ORIGIN, ["content-type", "authorization"], exposed)
        for headers in CROSS_SITE:
            answer = send(world, cookie=token, headers=headers).is_(403, f"auth/origin-not-allowed: {headers}")
            common(answer)
            equal(answer.json()["code"], "auth/origin-not-allowed", "a cross-site call that the rule refuses")
            no_cookie(answer, "cross-site")
        for headers in SAME_SITE + [[("Origin", ORIGIN)], [("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")]]:
            refreshed(send(world, cookie=token, headers=headers))

    def slow():
        world.proxy.play("slow")
        try:
            refreshed(client.refresh())
        finally:
            world.proxy.play("pass")

    yield "refresh: access token and user, no refresh token", refresh
    yield "refresh again, with the same token", again
    yield "refresh by cookie", by_cookie
    yield f"{AT_ONCE} refreshes of one token at once, twice: all succeed", at_once
    yield "no token: the null answer, for any project", without
    yield "the cookie wins, the first of two", precedence
    yield "expired token", expired
    yield "revoked session", revoked
    yield "suspended, removed, bare users", accounts
    yield "suspensions: the active ones", suspensions
    yield "no token works in another project", projects
    yield "removed project; one that is there answers strangers as one that never was", removed_project
    yield "foreign tokens", foreign
    yield "malformed: the JWT library's words", malformed
    yield "garbage costs no store call", garbage
    yield "wrong methods", methods
    yield "preflight, CORS and the cross-site rule", browser
    yield "store slow, within the time-outs", slow


def unreadable(answer, status, contract):
    answer.is_(status, contract)
    is_json(answer)
    common(answer)
    equal(sorted(answer.json()), ["code", "error"], f"the members of an error, {contract}")
    equal(answer.json()["code"], "auth/invalid-request", contract)


class Outage:
    """A client with its token in the body, and a browser, while the store fails."""

    def __init__(self, world):
        self.world = world
        self.client = Client(world.server, world.backend.opened(TENANT)["refresh_token"])
        refreshed(self.client.refresh())

    def during(self, _):
        by_cookie = lambda: send(self.world, cookie=self.client.token)  # noqa: E731
        for answer in together([self.client.refresh, by_cookie]):
            answer.is_(500, "ours")
            is_json(answer)
            common(answer)
            equal(answer.json(), {"error": "Internal server error", "code": "auth/server-error"}, "ours")
            no_cookie(answer, "a failure of ours never clears a cookie")
        hold(not self.client.signed_out, "the client keeps its session", "it signed out")

    def after(self):
        refreshed(self.client.refresh())
        refreshed(send(self.world, cookie=self.client.token))


def tight(world):
    """Tokens delivered by cookie rotate; and the limit is low."""
    start = world.backend.opened(TENANT)
    jar = Jar()
    jar.put(COOKIE, start["refresh_token"], "/")

    def by_jar():
        answer = send(world, cookie=jar.header(path()))
        jar.take(answer)
        return answer

    rotations = [by_jar()]
    rotated_at = time.monotonic()

    def rotation():
        for answer in (rotations[0], by_jar()):
            refreshed(answer, rotates=True)
            flags = [("Path", "/"), ("HttpOnly", ""), ("SameSite", "None"), ("Max-Age", "2592000")]
            equal(answer.cookie(COOKIE).attributes, flags, "the cookie, where one is set")
        hold(jar.only(COOKIE) != start["refresh_token"], "tokens delivered by cookie rotate", "the same token")
        body = world.backend.opened(TENANT)["refresh_token"]
        for _ in range(2):
            refreshed(send(world, with_token(body)))

    def after_window():
        time_passes(rotated_at + int(TIGHT["REPLYKE_GRACE_SECS"]) + 0.5 - time.monotonic())
        unrecognized(send(world, cookie=start["refresh_token"]), "reused: the session is sealed")
        unrecognized(by_jar(), "sealed: the newest token too")

    def limit():
        body = world.backend.opened(TENANT)["refresh_token"]
        for _ in range(int(TIGHT["REPLYKE_RATE_LIMIT"]) + 1):
            answer = send(world, with_token(body))
            if answer.status == 429:
                break
            refreshed(answer)
        is_limited(answer)

    def addresses():
        good, limit = world.backend.opened(TENANT)["refresh_token"], int(TIGHT["REPLYKE_RATE_LIMIT"])
        with world.no_store_call():
            answers = [send(world, body) for body in [with_token("a.b.c"), {}] * (limit // 2 + 1)]
        # The stack itself has asked once without a token as it began, which counts for ten seconds.
        passed = int(answers[0].header("x-ratelimit-remaining")) + 1
        hold(limit - 1 <= passed <= limit, f"{limit} without a token that verifies pass", passed)
        for n, answer in enumerate(answers[:passed]):
            if n % 2 == 0:
                invalid(answer, "invalid token", "a token that does not verify")
            else:
                nobody(answer)
        for answer in answers[passed:]:
            is_limited(answer)
        refreshed(send(world, with_token(good)))

    yield "rotation for cookies turned on: cookies rotate, bodies do not", rotation
    yield "replay after the window: 403 for the whole family", after_window
    yield "rate limit of calls without a token; one that verifies is not limited by it", addresses
    yield "rate limit", limit


def is_limited(answer):
    answer.is_(429, "50 in 5 minutes per IP (30 here)")
    equal(common(answer), 0, "X-RateLimit-Remaining")
    equal(answer.header("x-ratelimit-limit"), TIGHT["REPLYKE_RATE_LIMIT"], "X-RateLimit-Limit")
    hold((answer.header("retry-after") or "0").isdigit(), "Retry-After", answer.told())
    hold(int(answer.header("retry-after") or 0) >= 1, "429 has `Retry-After`", answer.told())
    kind = (answer.header("content-type") or "").split(";")[0]
    equal((kind, answer.body.decode()), ("text/html", LIMITED), "the text/html body")
    no_cookie(answer, "429")
