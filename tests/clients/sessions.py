"""A trusted backend, which opens, lists and ends sessions; and a resource server, which fetches the published keys."""

import re
import uuid

import dreadnode
import replyke
import tokens
import uniqos
from jar import SetCookie
from report import equal, hold, together
from stack import ORG
from wire import JWT, ULID, is_json, no_cookie

NAME = "sessions"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TENANTS = ["uniqos", "dreadnode", "elastic", replyke.TENANT]
CAP = 6
OFF = {"SESSIONS_PER_USER_MAX": str(CAP)}
LISTED = ["expires_at", "family", "ip", "label", "last_used_at", "opened_at", "state", "user_agent"]


def answered(answer, status, contract):
    answer.is_(status, contract)
    is_json(answer)
    no_cookie(answer, "a backend keeps no jar; it is told the cookie in the body")
    return answer.json()


def refused(answer, status, code, contract):
    """The sessions' own envelope."""
    body = answered(answer, status, f"{code}, {contract}")
    equal(list(body), ["error"], "the envelope")
    equal(sorted(body["error"]), ["code", "details", "message", "request_id"], "the members of `error`")
    equal(body["error"]["code"], code, f"code, {contract}")
    equal(body["error"]["request_id"], answer.header("x-request-id"), "request_id is the header's")
    return body["error"]


def families(answer):
    return [session["family"] for session in answered(answer, 200, "a user's sessions")["sessions"]]


def scenes(world):
    backend = world.backend
    verifier = tokens.Verifier(world.server)
    for tenant in TENANTS:
        world.operator.put_user(tenant, "ada")

    def opening():
        for tenant in TENANTS:
            body = answered(backend.open(tenant, "ada", label="laptop", ip="192.0.2.7"), 201, "a session is opened")
            wanted = ["access_token", "expires_in", "refresh_token", "session", "set_access_cookie", "set_cookie"]
            equal(sorted(body), wanted, "the refresh token, the first access token, the exact Set-Cookie")
            equal(sorted(body["session"]), ["expires_at", "family", "label", "opened_at"], "the session")
            hold(ULID.fullmatch(body["session"]["family"]), "the family is a ULID", body["session"])
            hold(JWT.fullmatch(body["refresh_token"]), "the refresh token", "no JWT")
            equal(verifier.verified(body["access_token"])["sub"], "ada", "the first access token's `sub`")
            cookie = SetCookie(body["set_cookie"]) if body["set_cookie"] else None
            equal(cookie is None, tenant == "elastic", f"for cookie products the exact `Set-Cookie`, {tenant}")
            equal(cookie is None or cookie.value == body["refresh_token"], True, "the cookie carries the refresh token")

    def as_refreshed():
        # What a sign-in sets has to be what a refresh sets, or a browser ends with two cookies.
        for product, name in ((uniqos, uniqos.COOKIE), (dreadnode, dreadnode.COOKIE)):
            first = SetCookie(backend.opened(product.NAME, org=ORG)["set_cookie"])
            later = product.send(world, first.value).cookie(name)
            flags = [[one for one in cookie.attributes if one[0] != "Max-Age"] for cookie in (first, later)]
            equal((first.name, flags[0]), (later.name, flags[1]), "one and the same cookie, opened and refreshed")

    def once():
        client_token = str(uuid.uuid4())
        ask = lambda **more: backend.open("uniqos", "ada", client_token=client_token, **more)  # noqa: E731
        answers = together([ask] * 6)
        equal(sorted(answer.status for answer in answers), [200] * 5 + [201], "six openings by one client token")
        opened = [answer.json() for answer in answers]
        equal(len({body["session"]["family"] for body in opened}), 1, "a repeat answers the same session")
        refused(ask(org=ORG), 409, "client_token_mismatch", "the client token of another opening")
        token = uniqos.refreshed(uniqos.send(world, opened[0]["refresh_token"]))
        refused(ask(), 409, "session_moved_on", "generation 0 is not live any more")
        uniqos.refreshed(uniqos.send(world, token))

    def listing():
        world.operator.put_user("uniqos", "lister")
        made = []
        for number in range(5):
            made.append(backend.opened("uniqos", "lister", label=f"device {number}")["session"]["family"])
        # A family's name holds when it was opened, to the millisecond; within one, chance decides.
        made.sort(reverse=True)
        body = answered(backend.list("uniqos", "lister"), 200, "a user's sessions")
        equal([session["family"] for session in body["sessions"]], made, "newest first")
        equal(body["next_cursor"], None, "no further page")
        for session in body["sessions"]:
            equal(sorted(session), LISTED, "opened, last used, from where, label, state")
            equal(session["state"], "live", "state")
            hold(INSTANT.fullmatch(session["opened_at"]), "opened_at", session)
        hold(not JWT.search(str(body)), "no token in a list", "one")
        pages, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = answered(backend.list("uniqos", "lister", limit=2, **more), 200, "a page")
            pages.append([session["family"] for session in page["sessions"]])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        equal([family for page in pages for family in page], made, "paginated: all, once, in order")
        equal(max(len(page) for page in pages), 2, "the limit of a page")

    def ending():
        world.operator.put_user("uniqos", "ender")
        opened = [backend.opened("uniqos", "ender") for _ in range(4)]
        named = [one["session"]["family"] for one in opened]
        first = answered(backend.revoke("uniqos", named[0], "ender"), 200, "revoke one")["session"]
        equal((first["family"], first["cause"]), (named[0], "sign_out"), "how it stands sealed")
        again = answered(backend.revoke("uniqos", named[0], "ender"), 200, "again")["session"]
        equal(again, first, "one that had ended keeps its first seal")
        uniqos.unauthenticated(uniqos.send(world, opened[0]["refresh_token"]), "sealed")
        kept = {"tenant": "uniqos", "user": "ender", "except": named[1]}
        ended = answered(backend.post("/sessions/revoke", kept), 200, "revoke all but one")["revoked"]
        hold({named[2], named[3]} <= {one["family"] for one in ended}, "the others have ended", ended)
        uniqos.refreshed(uniqos.send(world, opened[1]["refresh_token"]))
        uniqos.unauthenticated(uniqos.send(world, opened[3]["refresh_token"]), "sealed")
        answered(backend.post("/sessions/revoke", {"tenant": "uniqos", "user": "ender"}), 200, "revoke all")
        uniqos.unauthenticated(uniqos.send(world, opened[1]["refresh_token"]), "sealed")

    def strangers():
        others = backend.opened("uniqos", "ada")
        family = others["session"]["family"]
        refused(backend.revoke("uniqos", family, "demo"), 404, "session_not_found", "another user's session")
        refused(backend.revoke("dreadnode", family, "ada"), 404, "session_not_found", "another product's session")
        refused(backend.revoke("uniqos", "nothing", "ada"), 404, "session_not_found", "no session")
        uniqos.refreshed(uniqos.send(world, others["refresh_token"]))
        refused(backend.open("uniqos", "nobody"), 404, "user_not_found", "no such user")
        world.operator.put_user("uniqos", "inactive", "--status", "suspended")
        refused(backend.open("uniqos", "inactive"), 403, "user_not_active", "a suspended user")

    def malformed():
        refused(backend.post("/sessions", "{"), 400, "malformed_request", "broken JSON")
        error = refused(backend.post("/sessions", {}), 422, "invalid_fields", "missing fields")
        equal(sorted(one["field"] for one in error["details"]), ["client_token", "tenant", "user"], "each is named")
        for bad in ({"tenant": "other"}, {"user": ""}, {"user": 7}, {"client_token": ""}, {"ip": "here"}, {"more": 1}):
            fields = {"tenant": "uniqos", "user": "ada", "client_token": "c", **bad}
            refused(backend.post("/sessions", fields), 422, "invalid_fields", f"{bad}")
        answer = world.server.send("PUT", "/sessions")
        refused(answer, 405, "method_not_allowed", "another method")
        hold(answer.has("allow"), "405 with `Allow`", answer.told())

    def published():
        answer = world.server.send("GET", "/.well-known/jwks.json")
        equal(answer.status, 200, "the key set")
        hold("max-age=" in (answer.header("cache-control") or ""), "cacheable", answer.told())
        etag = answer.header("etag")
        hold(etag, "with an ETag", answer.told())
        same = world.server.send("GET", "/.well-known/jwks.json", [("If-None-Match", etag)])
        equal((same.status, same.body), (304, b""), "not modified")
        for key in answer.json()["keys"]:
            equal(sorted(key), ["alg", "crv", "kid", "kty", "use", "x"], "public members alone")
        found = world.server.send("GET", "/.well-known/openid-configuration")
        equal(found.status, 200, "a discovery document")
        hold(found.json()["jwks_uri"].endswith("/.well-known/jwks.json"), "jwks_uri", found.told())

    yield "open a session of each product", opening
    yield "what sign-in sets is what a refresh sets", as_refreshed
    yield "a client token opens one session, also six times at once", once
    yield "list, page by page", listing
    yield "revoke one, all but one, all", ending
    yield "other users' and products' sessions, absent and suspended users", strangers
    yield "malformed", malformed
    yield "the published keys", published


class Outage:
    """A backend whose opening falls into an outage, and which asks again by the same client token."""

    def __init__(self, world):
        self.world, self.user, self.client_token = world, f"user-{uuid.uuid4()}", str(uuid.uuid4())
        world.operator.put_user("uniqos", self.user)
        self.first = None

    def ask(self):
        return self.world.backend.open("uniqos", self.user, client_token=self.client_token)

    def during(self, _):
        lists = lambda: self.world.backend.list("uniqos", self.user)  # noqa: E731
        for answer in together([self.ask, lists]):
            refused(answer, 503, "store_unavailable", "the store gave no answer in time")
            hold((answer.header("retry-after") or "").isdigit(), "Retry-After", answer.told())

    def after(self):
        answer = self.ask()
        hold(answer.status in (200, 201), "200 or 201: the same client token opens the session", answer.told())
        family = answer.json()["session"]["family"]
        self.first = self.first or family
        equal(family, self.first, "the one session of the client token")
        equal(families(self.world.backend.list("uniqos", self.user)), [family], "the user's sessions")


def off(world):
    """With a cap."""

    def cap():
        world.operator.put_user("uniqos", "capped")
        for _ in range(CAP):
            last = world.backend.opened("uniqos", "capped")
        refused(world.backend.open("uniqos", "capped"), 409, "session_cap_reached", "as many as one may have")
        world.backend.revoke("uniqos", last["session"]["family"], "capped")
        world.backend.opened("uniqos", "capped")

    yield "a cap on sessions per user", cap
