"""Uniqos' SDK for Python: its transports, sync and async, with the refresh cookie in their jars. By itself it asks again
where an answer is lost, limited or 500, and it raises another error for each code of the contract."""

import asyncio
import importlib.metadata

from report import equal, hold, together
from scenes import BACKEND, URL, errors_of, forged, line, play, raises, scene, sign_out, store, the_window_passes
from uniqos import AsyncUniqOS, UniqOS, errors
from uniqos._core.transport import RequestOptions

COOKIE = "uniqos_refresh"
PATH = "/v1/auth/refresh"
# The bucket is an organization's: the two scenes about limits have one each.
ORGS = "acme", "globex"
# More than the bucket holds, and fewer than it and the SDK's three retries let through.
CALLERS = 12


class Client:
    """The SDK with the cookie that the sign-in has set. It is its own logger, which is told of retries alone."""

    def __init__(self, token, url=URL, kind=UniqOS, on_retry=lambda: None, **more):
        self.retries, self.on_retry = [], on_retry
        self.sdk = kind(api_key="uniq_test_0123456789", base_url=url, logger=self, **more)
        self.transport = self.sdk._transport
        self.jar = self.transport._client.cookies
        self.put(token)

    def put(self, token):
        self.jar.set(COOKIE, token, domain="127.0.0.1", path="/v1/auth")

    @property
    def token(self):
        """What the jar has; it raises where there are two."""
        return self.jar.get(COOKIE)

    def refresh(self, **more):
        return self.transport.request(RequestOptions("POST", PATH, **more))

    def warning(self, _, context=None):
        self.retries.append(context)
        self.on_retry()


def opened(org=ORGS[0]):
    return BACKEND.opened("uniqos", org=org)


def signed_in(**more):
    return Client(opened()["refresh_token"], **more)


def ends_the_session(client, contract):
    """A 401 as the SDK has it, and what it leaves in the jar."""
    error = raises(errors.AuthenticationError, client.refresh, contract)
    equal((error.http_status, error.code), (401, "authentication_error"), contract)
    hold(client.token is None, "401 clears the cookie", "it is in the jar")


@scene("wide")
def a_refresh_rotates_the_one_cookie_of_the_jar():
    client = signed_in()
    before = client.token
    answer = client.refresh()
    equal((answer.data["token_type"], answer.data["expires_in"]), ("Bearer", 900), "token_type and expires_in")
    hold(client.token not in (None, before), "the cookie is rotated", "the same one, or none")
    equal(len(client.jar.jar), 1, "the number of cookies in the jar")
    hold(answer.request_id, "the SDK knows the request's id", answer.request_id)


@scene("wide")
def an_answer_says_what_is_left_of_the_limit():
    headers = signed_in().refresh().headers
    remaining, limit = int(headers["x-ratelimit-remaining"]), int(headers["x-ratelimit-limit"])
    hold(0 < remaining <= limit, "0 < Remaining <= Limit", (remaining, limit))


@scene("wide")
def a_body_and_an_idempotency_key_change_nothing():
    client = signed_in()
    tokens = [client.token]
    for more in ({"body": {}}, {"body": {}, "idempotency_key": "one"}, {"body": {}, "idempotency_key": "one"}):
        client.refresh(**more)
        tokens.append(client.token)
    equal(len(set(tokens)), 4, "each refresh rotates: different cookies")


@scene("wide")
def two_threads_of_one_client_get_tokens_and_it_goes_on_after_the_window():
    client = signed_in()
    together([client.refresh] * 2)
    the_window_passes()
    client.refresh()


@scene("wide")
def eight_tasks_of_one_async_client_get_tokens():
    async def tasks():
        client = signed_in(kind=AsyncUniqOS)
        async with client.sdk:
            await asyncio.gather(*(client.refresh() for _ in range(8)))
            await client.refresh()

    asyncio.run(tasks())


@scene("wide")
def an_old_cookie_inside_the_window_gets_the_next_one():
    client = signed_in()
    old = client.token
    client.refresh()
    client.put(old)
    client.refresh()
    hold(client.token != old, "another cookie", "the same one")
    client.refresh()


@scene("wide")
def a_forged_cookie_is_an_authentication_error_that_names_its_request():
    client = signed_in()
    error = raises(errors.AuthenticationError, Client(forged(client.token)).refresh, "a cookie that does not verify")
    equal((error.http_status, error.code), (401, "authentication_error"), "status and code")
    hold(error.request_id, "the error knows the request's id", error.request_id)
    client.refresh()


@scene("wide")
def a_cookie_that_is_no_token_is_a_validation_error_that_names_it():
    error = raises(errors.ValidationError, Client("garbage").refresh, "a cookie that is no token")
    equal(error.http_status, 422, "status")
    equal([detail["field"] for detail in error.details], [f"cookie.{COOKIE}"], "`details` lists the fields")


@scene("wide")
def a_body_that_is_no_object_is_a_validation_error_and_ends_nothing():
    client = signed_in()
    error = raises(errors.ValidationError, lambda: client.refresh(body=[1]), "a body that is JSON but no object")
    equal([detail["field"] for detail in error.details], ["body"], "`details` lists the fields")
    client.refresh()


@scene("wide")
def a_lost_answer_is_asked_for_again_by_the_sdk_itself_and_the_next_cookie_comes():
    with line() as between:
        client = signed_in(url=between.url, on_retry=lambda: between.play("pass"))
        before = client.token
        between.play("lose")
        client.refresh()
    equal([retry["code"] for retry in client.retries], ["network_error"], "what the SDK has met")
    hold(client.token not in (None, before), "the cookie is rotated", "the same one, or none")


@scene("wide")
def an_old_cookie_after_the_window_ends_the_session_and_empties_both_jars():
    session = opened()
    owner, thief = Client(session["refresh_token"]), Client(session["refresh_token"])
    owner.refresh()
    the_window_passes()
    ends_the_session(thief, "reused after the window")
    ends_the_session(owner, "sealed: the newest cookie too")
    equal(BACKEND.state("uniqos", session["session"]["family"])["state"], "reuse", "the session's state")


@scene("wide")
def a_session_that_was_signed_out_is_an_authentication_error_and_the_jar_is_empty():
    session = opened()
    client = Client(session["refresh_token"])
    client.refresh()
    sign_out("uniqos", session)
    ends_the_session(client, "cookie sealed")


@scene("wide")
def a_store_that_is_down_is_asked_again_and_costs_no_cookie():
    client = signed_in(max_retries=1)
    before = client.token
    with store("refuse"):
        error = raises(errors.APIError, client.refresh, "ours; the SDK retries")
    equal((error.http_status, error.code), (500, "internal_error"), "status and code")
    equal([retry["code"] for retry in client.retries], ["internal_error"], "what the SDK asks again after")
    hold(client.token == before, "the cookie is kept", "another one, or none")
    client.refresh()


@scene("tight")
def a_limit_is_a_rate_limit_error_that_says_how_long_to_wait():
    token = opened()["refresh_token"]
    clients = [Client(token, max_retries=0) for _ in range(CALLERS)]
    limited = errors_of(clients)
    hold(limited, "429 where the bucket is empty", "all passed")
    equal({type(error) for error in limited}, {errors.RateLimitError}, "what the others raise")
    waits = [error.retry_after_seconds for error in limited]
    hold(all(wait and wait >= 1 for wait in waits), "Retry-After (whole seconds)", waits)


@scene("tight")
def the_sdk_waits_as_long_as_it_is_told_and_then_all_get_tokens():
    token = opened(ORGS[1])["refresh_token"]
    clients = [Client(token) for _ in range(CALLERS)]
    together([client.refresh for client in clients])
    retries = [retry for client in clients for retry in client.retries]
    equal({retry["code"] for retry in retries}, {"rate_limit_exceeded"}, "what the SDK asks again after")
    hold(all(retry["delay_seconds"] >= 1 for retry in retries), "it waits for Retry-After", retries)


@scene("off")
def with_the_window_off_one_of_six_at_once_gets_on_and_the_others_keep_their_cookie():
    token = opened()["refresh_token"]
    clients = [Client(token) for _ in range(6)]
    conflicts = errors_of(clients)
    equal([type(error) for error in conflicts], [errors.ConflictError] * 5, "what five of six raise")
    equal(sum(client.token == token for client in clients), 5, "how many keep their cookie")
    next(client for client in clients if client.token != token).refresh()


play(f"uniqos {importlib.metadata.version('uniqos')}")
