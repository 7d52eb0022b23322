"""Dreadnode 2's API client: the token in the body of each refresh, and a cookie jar that nobody asked for, which from the
first answer on holds the successor."""

import importlib.metadata

from light import light
from report import equal, hold, together
from scenes import BACKEND, URL, errors_of, forged, gets_on, play, raises, scene, sign_out, store, the_window_passes

# First, because the client's own import of it goes by way of packages that are light then.
light("dreadnode.core.tls")
api = light("dreadnode.app.api.client")
CALLERS = 12


class Client:
    def __init__(self, token=None):
        self.sdk = api.ApiClient(URL)
        self.jar = self.sdk._client.cookies
        if token:
            self.jar.set("refresh_token", token, domain="127.0.0.1")

    @property
    def token(self):
        """What the jar has; it raises where there are two."""
        return self.jar.get("refresh_token")

    def refresh(self, token=None):
        """With this token in the body, or without a body."""
        return self.sdk.request("POST", "/auth/refresh", json_data=token and {"refresh_token": token}).json()


def opened():
    return BACKEND.opened("dreadnode", org="acme")


@scene("wide")
def the_successor_of_a_token_in_the_body_is_in_the_jar():
    client, token = Client(), opened()["refresh_token"]
    client.refresh(token)
    hold(client.token not in (None, token), "the successor travels as a cookie", "the same token, or none")
    equal(sorted(cookie.name for cookie in client.jar.jar), ["access_token", "refresh_token"], "the cookies in the jar")


@scene("wide")
def the_body_goes_stale_and_the_jar_counts_after_the_window_too():
    client, token = Client(), opened()["refresh_token"]
    for _ in range(4):
        client.refresh(token)
    the_window_passes()
    client.refresh(token)


@scene("wide")
def two_threads_without_a_body_get_tokens():
    client = Client(opened()["refresh_token"])
    together([client.refresh] * 2)
    client.refresh()


@scene("wide")
def a_script_with_a_client_for_each_call_gets_on_inside_the_window_only():
    token = opened()["refresh_token"]
    for _ in range(2):
        Client().refresh(token)
    the_window_passes()
    raises(api.AuthenticationError, lambda: Client().refresh(token), "reused after the window")


@scene("wide")
def a_forged_token_is_an_authentication_error():
    token = opened()["refresh_token"]
    raises(api.AuthenticationError, lambda: Client().refresh(forged(token)), "a token that does not verify")
    Client().refresh(token)


@scene("wide")
def no_token_is_an_authentication_error():
    raises(api.AuthenticationError, Client().refresh, "no token")


@scene("wide")
def a_session_that_was_signed_out_is_an_authentication_error_and_the_jar_is_empty():
    session = opened()
    client = Client(session["refresh_token"])
    client.refresh()
    sign_out("dreadnode", session)
    raises(api.AuthenticationError, client.refresh, "sealed")
    equal(len(client.jar.jar), 0, "401 clears both cookies; how many are left")


@scene("wide")
def a_store_that_is_down_is_a_bad_gateway_and_costs_no_cookie():
    client = Client(opened()["refresh_token"])
    before = client.token
    with store("refuse"):
        error = raises(RuntimeError, client.refresh, "the store failed")
    hold(str(error).startswith("502"), "the store failed: 502", repr(error))
    hold(client.token == before, "the cookie is kept", "another one, or none")
    client.refresh()


@scene("tight")
def a_limit_is_no_lack_of_credit_and_costs_nothing():
    token = opened()["refresh_token"]
    clients = [Client(token) for _ in range(CALLERS)]
    limited = errors_of(clients)
    hold(limited, "429 where the bucket is empty", "all passed")
    equal({type(error) for error in limited}, {RuntimeError}, "what the others raise")
    hold(all(str(error).startswith("429") for error in limited), "429", limited)
    for client in clients:
        gets_on(client.refresh, "every client gets on when the limit is over")


@scene("off")
def with_the_window_off_one_of_six_at_once_gets_on_and_the_others_keep_their_cookie():
    token = opened()["refresh_token"]
    clients = [Client(token) for _ in range(6)]
    conflicts = errors_of(clients)
    equal([type(error) for error in conflicts], [api.ConflictError] * 5, "what five of six raise")
    equal(sum(client.token == token for client in clients), 5, "how many keep their cookie")
    next(client for client in clients if client.token != token).refresh()


play(f"dreadnode {importlib.metadata.version('dreadnode')}")
