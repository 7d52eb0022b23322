"""Starting and ending the local stack, with a proxy between its functions and its store; and those who are not clients:
the operator with `rondo`, and a backend that opens sessions."""

import contextlib
import json
import os
import subprocess
import time
import uuid

from local import ROOT, RONDO, LocalStack
from proxy import Proxy
from report import equal, hold
from wire import Server

# Whom the local stack has to begin with, and in which project of a product that has projects.
USER = "demo"
ORG = "acme"
PROJECT = "demo"
# The demo user's password, where users have one.
PASSWORD = "let-me-in"


def time_passes(secs):
    """The functions are other processes, whose clocks nothing but time moves on: the one wait of the clients' scenes, for a
    window to be over, and for as long as a limited client is told to wait."""
    time.sleep(max(0, secs))


class Stack(LocalStack):
    """The local stack, with a proxy before its store."""

    def __init__(self, settings, concurrency):
        super().__init__(settings)
        self.concurrency, self.server = concurrency, Server(self.port)
        self.proxy = Proxy(self.db_port)

    def more(self):
        return ["--store-url", self.proxy.url, "--concurrency", str(self.concurrency)]

    def end(self):
        super().end()
        self.proxy.end()


class Operator:
    """`rondo`, on the stack that runs; with `settings` it opens sessions as a deployment with those would."""

    def run(self, *arguments, given=None, settings=None):
        done = subprocess.run(
            [RONDO, "--json", *arguments],
            cwd=ROOT,
            env={**os.environ, **(settings or {})},
            input=given,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"rondo {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout)

    def open(self, product, user=USER, org=None, project=None, settings=None):
        arguments = ["session", "open", "--product", product, "--user", user]
        arguments += ["--org", org] if org else []
        arguments += ["--project", project] if project else []
        return self.run(*arguments, settings=settings)

    def put_user(self, tenant, user, *more, given=None):
        self.run("user", "put", user, "--tenant", tenant, *more, given=given)

    def suspend(self, tenant, user):
        self.run("user", "put", user, "--tenant", tenant, "--status", "suspended")

    def remove(self, tenant, user):
        self.run("user", "remove", user, "--tenant", tenant)

    def revoke(self, tenant, family):
        self.run("session", "revoke", family, "--tenant", tenant)

    def session(self, tenant, family):
        return self.run("session", "show", family, "--tenant", tenant)


class Backend:
    """A trusted backend, which calls the function `sessions`."""

    def __init__(self, server):
        self.server = server

    def post(self, path, body):
        return self.server.send("POST", path, [("Content-Type", "application/json")], body)

    def open(self, tenant, user=USER, client_token=None, **more):
        fields = {"tenant": tenant, "user": user, "client_token": client_token or str(uuid.uuid4()), **more}
        return self.post("/sessions", fields)

    def opened(self, tenant, user=USER, **more):
        """A new session, as the product's sign-in would have it opened."""
        answer = self.open(tenant, user, **more)
        hold(answer.status == 201, "a session is opened: 201", answer.told())
        return answer.json()

    def list(self, tenant, user=USER, **more):
        query = "&".join(f"{name}={value}" for name, value in {"tenant": tenant, "user": user, **more}.items())
        return self.server.send("GET", f"/sessions?{query}")

    def revoke(self, tenant, family, user=USER):
        return self.server.send("DELETE", f"/sessions/{family}?tenant={tenant}&user={user}")

    def state(self, tenant, family, user=USER):
        """How the list has this session."""
        found = [session for session in self.list(tenant, user).json()["sessions"] if session["family"] == family]
        hold(len(found) == 1, "the user's sessions list this one, once", f"{len(found)} of it")
        return found[0]


class World:
    """Everybody that a scene may need."""

    def __init__(self, stack, report):
        self.stack, self.report = stack, report
        self.server, self.proxy = stack.server, stack.proxy
        self.operator, self.backend = Operator(), Backend(stack.server)

    @contextlib.contextmanager
    def no_store_call(self):
        """That nothing reaches the store in the meantime."""
        before = self.proxy.requests
        yield
        equal(self.proxy.requests - before, 0, "garbage never costs a store call; how many it cost")

    def one_live_line(self, tenant, family, user=USER):
        """That the session is live; returns its live generation."""
        state = self.backend.state(tenant, family, user)["state"]
        hold(state == "live", "the session lives on", state)
        return int(self.operator.session(tenant, family)["generation"])
