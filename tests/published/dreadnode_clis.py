"""Dreadnode's two CLIs that refresh, dreadnode-cli and dreadnode 1, whichever is installed: their configuration file, which
keeps the tokens, their cookie jar, and the exit handler that saves the one's tokens in the other."""

import importlib.metadata
import importlib.util
from unittest import mock

from report import equal, hold, together
from scenes import BACKEND, PORT, URL, error_of, forged, line, play, scene, sign_out, store, the_window_passes

if importlib.util.find_spec("dreadnode_cli"):
    from dreadnode_cli.api import Token, create_client
    from dreadnode_cli.config import ServerConfig, UserConfig

    NAME, PATH, EXPIRED = "dreadnode-cli", "/api/v1/auth/refresh", "Authentication expired"
else:
    from light import light

    api, user_config = light("dreadnode.cli.api"), light("dreadnode.user_config")
    Token, create_client = api.Token, api.create_api_client
    ServerConfig, UserConfig = user_config.ServerConfig, user_config.UserConfig
    # Its client puts `/api` before it.
    NAME, PATH, EXPIRED = "dreadnode", "/v1/auth/refresh", "401: "

LIFETIME_SECS = 14 * 24 * 60 * 60


class Run:
    """One run of the CLI: it begins with what the configuration file has, and ends with its exit handler."""

    def __init__(self):
        with mock.patch("atexit.register") as register:
            self.client = create_client()
        (self.end,) = register.call_args.args
        self.jar = self.client._client.cookies

    @property
    def token(self):
        """What the jar has. It raises, as the exit handler does, where there are two."""
        return self.jar.get("refresh_token")

    def put(self, token):
        """Puts it in place of the jar's own."""
        (domain,) = {cookie.domain for cookie in self.jar.jar}
        self.jar.set("refresh_token", token, domain=domain)

    def refresh(self):
        return self.client.request("POST", PATH).json()


def signed_in(url=URL):
    """A session, with what `dreadnode login` leaves of it in the configuration file."""
    session = BACKEND.opened("dreadnode", org="acme")
    tokens = {"access_token": session["access_token"], "refresh_token": session["refresh_token"]}
    UserConfig().set_server_config(ServerConfig(url=url, email="e", username="u", api_key="k", **tokens), "main").write()
    return session


def saved():
    return UserConfig.read().get_server_config("main").refresh_token


def expired(run, contract):
    """A 401, which has the user sign in again."""
    error = error_of(run.refresh)
    hold(EXPIRED in str(error), f"{contract}: {EXPIRED!r}", repr(error))
    equal(len(run.jar.jar), 0, "401 clears both cookies; how many are left")


def gets_both_cookies_once(run):
    """What a refresh leaves in the jar."""
    before = run.token
    answer = run.refresh()
    equal(sorted(cookie.name for cookie in run.jar.jar), ["access_token", "refresh_token"], "the cookies in the jar")
    hold(run.token != before, "the refresh token is rotated", "the same one")
    hold(run.jar.get("access_token") == answer["access_token"], "the cookie is the access token", "another one")
    return answer


@scene("wide")
def a_refresh_leaves_both_cookies_once_each_in_the_jar():
    signed_in()
    gets_both_cookies_once(Run())


@scene("wide")
def so_it_does_where_the_server_is_called_localhost():
    signed_in(f"http://localhost:{PORT}")
    run = Run()
    gets_both_cookies_once(run)
    run.end()
    gets_both_cookies_once(Run())


@scene("wide")
def an_answer_names_the_organizations_of_the_user():
    signed_in()
    answer = Run().refresh()
    acme = {"key": "acme", "name": "Acme"}
    equal(answer["default_org"], acme, "default_org")
    equal(answer["orgs"], [acme, {"key": "globex", "name": "Globex"}], "orgs")


@scene("wide")
def the_client_reads_in_a_token_how_long_it_lives():
    signed_in()
    run = Run()
    run.refresh()
    secs = Token(run.token).ttl()
    hold(0 < secs <= LIFETIME_SECS, "the token's own `exp`", secs)


@scene("wide")
def the_next_run_goes_on_with_what_the_exit_handler_saved():
    signed_in()
    run = Run()
    for _ in range(4):
        run.refresh()
    run.end()
    hold(saved() == run.token, "the newest token is saved", "another one")
    Run().refresh()


@scene("wide")
def two_threads_of_one_run_get_tokens_and_it_goes_on_after_the_window():
    signed_in()
    run = Run()
    together([run.refresh] * 2)
    the_window_passes()
    run.refresh()


@scene("wide")
def of_two_runs_at_once_either_may_be_the_last_to_save_its_token():
    signed_in()
    first, second = Run(), Run()
    together([first.refresh, second.refresh])
    for run in (second, first):
        run.end()
        hold(saved() == run.token, "the run's token is saved", "another one")
        Run().refresh()


@scene("wide")
def an_old_token_inside_the_window_gets_the_next_one():
    signed_in()
    run = Run()
    old = run.token
    run.refresh()
    run.put(old)
    gets_both_cookies_once(run)
    run.refresh()


@scene("wide")
def an_answer_is_lost_and_the_next_run_gets_on_with_the_old_token():
    with line() as between:
        signed_in(between.url)
        run = Run()
        between.play("lose")
        error = error_of(run.refresh)
        between.play("pass")
        run.end()
        hold(error is not None, "the answer is lost", "it came")
        gets_both_cookies_once(Run())


@scene("wide")
def a_forged_token_signs_the_run_out_and_the_configuration_keeps_the_good_one():
    session = signed_in()
    run = Run()
    run.put(forged(run.token))
    expired(run, "a token that does not verify")
    run.end()
    hold(saved() == session["refresh_token"], "the configuration is as it was", "another token")
    Run().refresh()


@scene("wide")
def a_run_that_comes_back_after_the_window_ends_the_session_of_the_one_that_went_on():
    session = signed_in()
    stale, other = Run(), Run()
    other.refresh()
    the_window_passes()
    expired(stale, "reused after the window")
    expired(other, "sealed: the newest token too")
    equal(BACKEND.state("dreadnode", session["session"]["family"])["state"], "reuse", "the session's state")


@scene("wide")
def a_session_that_was_signed_out_signs_the_run_out():
    session = signed_in()
    run = Run()
    run.refresh()
    sign_out("dreadnode", session)
    expired(run, "sealed")


@scene("wide")
def a_store_that_is_down_costs_no_cookie():
    signed_in()
    run = Run()
    before = run.token
    with store("refuse"):
        error = error_of(run.refresh)
    hold("502" in str(error), "the store failed: 502", repr(error))
    hold(run.token == before, "the cookie is kept", "another one, or none")
    run.refresh()


@scene("tight")
def a_client_below_the_least_version_is_told_to_upgrade():
    signed_in()
    error = error_of(Run().refresh)
    hold(str(error).startswith("426"), "below the deployment's minimum: 426", repr(error))


play(f"{NAME} {importlib.metadata.version(NAME)}")
