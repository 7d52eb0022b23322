"""What the programs in Python have in common: their scenes, a backend that opens and ends sessions, faults, and time.

A program's scenes are its functions that are marked with the stack that they are for, in their order; a function's name is
the scene's sentence. Each is told to `run.py` as a line of JSON on standard output, on which there is nothing else.
"""

import contextlib
import json
import os
import sys
import time
import traceback
import urllib.parse

from proxy import Proxy
from report import Difference, hold, together
from stack import Backend, time_passes
from wire import Server

# Where the functions are, and which of the stacks of `run.py` this is.
URL = os.environ["URL"]
STACK = os.environ["STACK"]
GRACE_SECS = float(os.environ["GRACE_SECS"])
PORT = urllib.parse.urlsplit(URL).port
BACKEND = Backend(Server(PORT))
# Within this, a limit of a few requests a second is over.
LIMITED_SECS = 20

_scenes = []


def scene(stack):
    """Marks a scene, and the stack that it is for."""

    def marked(function):
        if stack == STACK:
            _scenes.append(function)
        return function

    return marked


def play(client):
    """Plays the scenes of this stack, one after another."""
    for function in _scenes:
        tell(client=client, scene=function.__name__.replace("_", " "), difference=difference(function))


def difference(function):
    """What a scene expected and what it got, or None where they agree. What a client prints goes to standard error."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            function()
    except Difference as error:
        return [error.contract, str(error.got)]
    except Exception:  # noqa: BLE001, an error of the harness itself counts too: nothing was shown
        return ["the scene ends", traceback.format_exc()]
    return None


def tell(**message):
    print(json.dumps(message), file=sys.__stdout__, flush=True)


@contextlib.contextmanager
def store(fault):
    """While the store has this fault, of those of `proxy.py`: `run.py` plays it, and answers when it does."""
    tell(fault=fault)
    sys.stdin.readline()
    try:
        yield
    finally:
        tell(fault="pass")
        sys.stdin.readline()


def sign_out(tenant, session):
    """What the product's sign-out has the backend do."""
    answer = BACKEND.revoke(tenant, session["session"]["family"])
    hold(answer.status == 200, "a session is ended: 200", answer.told())


def the_window_passes():
    """The one wait of these programs."""
    time_passes(GRACE_SECS + 0.5)


@contextlib.contextmanager
def line():
    """A way to the functions on which answers can be lost, as `proxy.py` plays it."""
    proxy = Proxy(PORT)
    try:
        yield proxy
    finally:
        proxy.end()


def error_of(function):
    """What it raises, or None."""
    try:
        function()
    except Exception as error:  # noqa: BLE001, the clients raise whatever they like
        return error
    return None


def errors_of(clients):
    """What those of them raise that do not get on, where all refresh at once."""
    raised = together([lambda client=client: error_of(client.refresh) for client in clients])
    return [error for error in raised if error]


def raises(kind, function, contract):
    """It has to raise an error of this very class, which is returned."""
    error = error_of(function)
    hold(type(error) is kind, f"{contract}: {kind.__name__}", repr(error))
    return error


def gets_on(function, contract):
    """It has to raise nothing, once a limit is over: it is asked again and again."""
    deadline = time.monotonic() + LIMITED_SECS
    while (error := error_of(function)) and time.monotonic() < deadline:
        pass
    hold(error is None, contract, repr(error))


def forged(token):
    """The same token with another signature."""
    signed, _, signature = token.rpartition(".")
    return f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
