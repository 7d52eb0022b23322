"""Starts the local stack, has schemathesis ask it whatever the documents of this folder declare, and ends the stack.

    .tools/bin/python infra/openapi/test.py [--examples N] [--seed N] [document ...]

Exits 1 where an answer is not as it is declared, where an operation never succeeded (so that little was tested), and
where anything of the stack outlives it. Refuses, as `rondo dev` does, while another stack runs from this checkout.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import schemathesis
from schemathesis.cli import schemathesis as schemathesis_command

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "tests/clients"))
from local import ROOT, RONDO, LocalStack  # noqa: E402  (shared with the clients' scenes)

# Far below the shortest grace window that is set below: a rotated token is sent again and again, as a retry.
SESSION_SECS = 20

# What the functions are told beside their defaults: limits that are not reached here, and the longest grace windows.
SETTINGS = {
    "UNIQOS_RATE_LIMIT": "1000",
    "UNIQOS_ADDRESS_RATE_LIMIT": "1000",
    "UNIQOS_GRACE_SECS": "60",
    "DREADNODE_RATE_LIMIT": "1000",
    "DREADNODE_ADDRESS_RATE_LIMIT": "1000",
    "DREADNODE_GRACE_SECS": "60",
    "ELASTIC_RATE_LIMIT": "1000",
    "ELASTIC_ADDRESS_RATE_LIMIT": "1000",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS": "1000",
    "ELASTIC_PASSWORD_ATTEMPTS_PER_USER": "1000",
    "REPLYKE_RATE_LIMIT": "1000",
    "REPLYKE_RATE_PERIOD_SECS": "1",
}

# By document: the product whose session is presented, and the cookie that carries it; without one, a bearer token.
CREDENTIALS = {
    "uniqos-refresh": ("uniqos", "uniqos_refresh"),
    "dreadnode-refresh": ("dreadnode", "refresh_token"),
    "elastic-refresh": ("elastic", None),
    "replyke-refresh": ("replyke", "replyke-refresh-jwt"),
}

# Whom the local stack has to begin with, and in which project of a product that has projects.
USER = "demo"
PROJECT = "demo"

# Of schemathesis' checks those that are left out, each with why; all others run.
LEFT_OUT = {
    # It wants 401 or 403 where the contract has 422: for a cookie that is not of a token's form. What matters of it,
    # that nothing but a good cookie gets tokens, is checked below.
    "uniqos-refresh": ["ignored_auth"],
}

# What the HTTP server in front of the functions adds by itself.
TRANSPORT_HEADERS = {"content-type", "content-length", "date", "connection", "transfer-encoding"}
# What a request's framing is told by: any of them, generated, is answered by that server and by no function.
FRAMING_HEADERS = {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}


# What is limited in bytes, to 128.
NAMES_IN_BYTES = ("user", "org", "client_token")


class Run:
    """What the hooks below need to know of the run, and what they have seen."""

    document = ""
    tokens = []
    opened_at = float("-inf")
    granted = 0
    ended_by = None
    statuses = collections.defaultdict(collections.Counter)


@schemathesis.auth(refresh_interval=None)
class Session:
    """A session's token, and another's before the grace window of the first is over."""

    def get(self, case, context):
        if Run.document not in CREDENTIALS:
            return None
        if time.monotonic() - Run.opened_at > SESSION_SECS:
            Run.tokens.append(open_session(CREDENTIALS[Run.document][0]))
            Run.opened_at = time.monotonic()
        return Run.tokens[-1]

    def set(self, case, token, context):
        if token is None or (Run.document == "replyke-refresh" and is_negative(case)):
            # Where there is a good cookie, this endpoint does not look at the token in the body, however wrong it is.
            return
        if "projectId" in (case.path_parameters or {}):
            case.path_parameters["projectId"] = PROJECT
        cookie = CREDENTIALS[Run.document][1]
        if cookie is None:
            case.headers["Authorization"] = f"Bearer {token}"
        else:
            case.cookies = {**(case.cookies or {}), cookie: token}


def is_negative(case):
    return case.meta is not None and not case.meta.generation.mode.is_positive


def open_session(product):
    arguments = [RONDO, "session", "open", "--json", "--product", product, "--user", USER]
    return json.loads(subprocess.run(arguments, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["refresh_token"]


@schemathesis.check
def no_undeclared_headers(ctx, response, case):
    """A header that the document does not declare for this status, such as what is left of a limit on a 401."""
    document = case.operation.schema.raw_schema
    answers = document["paths"][case.operation.path][case.operation.method]["responses"]
    answer = answers.get(str(response.status_code), {})
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    known = {name.lower() for name in answer.get("headers", {})} | TRANSPORT_HEADERS
    unknown = sorted({name.lower() for name in response.headers} - known)
    assert not unknown, f"not declared for {response.status_code}: {', '.join(unknown)}"


@schemathesis.check
def no_tokens_without_a_credential(ctx, response, case):
    """Tokens for a request that carries none of the tokens that were opened for this run."""
    if Run.document not in CREDENTIALS or response.status_code != 200:
        return
    answer = response.json()
    if any(answer.get(name) for name in ("access_token", "accessToken", "token")):
        body = response.request.body or ""
        sent = f"{response.request.headers} {body if isinstance(body, str) else body.decode(errors='replace')}"
        assert any(token in sent for token in Run.tokens), "tokens for a request without a session's token"
        Run.granted += 1


def holds_too_many_bytes(case):
    """A name of as many characters as its schema allows, and of more bytes than its description does: no schema counts bytes."""
    fields = [fields for fields in (case.query, case.body) if isinstance(fields, dict)]
    names = [fields[name] for fields in fields for name in NAMES_IN_BYTES if isinstance(fields.get(name), str)]
    return Run.document == "sessions" and not is_negative(case) and any(len(n.encode(errors="replace")) > 128 for n in names)


@schemathesis.hook
def filter_case(context, case):
    """Not what the emulator answers by itself: a request that is framed wrongly, and a body that is no UTF-8, to which it
    says 500, where a gateway encodes it in base64."""
    if FRAMING_HEADERS & {name.lower() for name in case.headers or {}} or holds_too_many_bytes(case):
        return False
    if not isinstance(case.body, bytes):
        return True
    try:
        # A body of nothing but blanks counts as none, which is as good where none is needed.
        return case.body == b"" or case.body.decode().strip() != ""
    except UnicodeDecodeError:
        return False


@schemathesis.hook
def map_case(context, case):
    """Of the users that are well-formed, the one who is there: any other is 404."""
    if Run.document == "sessions" and not is_negative(case):
        for fields in (case.query, case.body):
            if isinstance(fields, dict) and "user" in fields:
                fields["user"] = USER
    return case


@schemathesis.deserializer("text/html")
def text_of_html(context, response):
    return response.text


@schemathesis.hook
def after_call(context, case, response):
    Run.statuses[case.operation.label][response.status_code] += 1


def as_served_locally(text):
    """A document with the two things in which the local stack is meant to differ: cookies without `Secure`, which common
    clients would not send over plain HTTP, and no IAM, which only a gateway of AWS's verifies."""
    document = json.loads(text.replace(" Secure;", ""))
    if "sigv4" in document["components"].get("securitySchemes", {}):
        del document["components"]["securitySchemes"]
        for item in document["paths"].values():
            for operation in item.values():
                del operation["security"]
    return document


def hold(name, url, arguments):
    """Holds the stack at `url` against one document, and returns what was found."""
    Run.document, Run.tokens, Run.opened_at, Run.granted = name, [], float("-inf"), 0
    Run.statuses.clear()
    document = as_served_locally((FOLDER / f"{name}.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"{name}.json"
        path.write_text(json.dumps(document))
        command = ["run", str(path), "--url", url, "--checks", "all", "--continue-on-failure"]
        command += ["--max-examples", str(arguments.examples), "--seed", str(arguments.seed), "--request-timeout", "30"]
        command += [f"--exclude-checks={','.join(LEFT_OUT[name])}"] if name in LEFT_OUT else []
        # The coverage phase asks by every method that is not declared, TRACE and QUERY too: the emulator passes them on.
        # What schemathesis keeps, it keeps where it runs.
        os.chdir(folder)
        try:
            code = schemathesis_command(command, standalone_mode=False)
        except SystemExit as exited:
            code = exited.code
        finally:
            os.chdir(ROOT)
    findings = [] if not code else [f"{name}: schemathesis found differences, or could not run; see above"]
    for path, item in document["paths"].items():
        for method in item:
            statuses = Run.statuses[f"{method.upper()} {path}"]
            print(f"{name}: {method.upper()} {path}:", *(f"{n}x{count}" for n, count in sorted(statuses.items())))
            if not any(status < 400 for status in statuses):
                findings.append(f"{name}: {method.upper()} {path} never succeeded")
    if name in CREDENTIALS and Run.granted == 0:
        findings.append(f"{name}: no request got tokens")
    return findings


def told_to_end(number, _):
    """Ends what runs, be it schemathesis, which would have the next document follow; the stack ends with it."""
    Run.ended_by = number
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    parser.add_argument("documents", nargs="*", metavar="document", help=f"of {', '.join(names)} [default: all]")
    parser.add_argument("--examples", type=int, default=100, help="requests per operation and phase, at most")
    parser.add_argument("--seed", type=int, default=1, help="another one asks other requests [default: 1]")
    arguments = parser.parse_args()
    unknown = set(arguments.documents) - set(names)
    if unknown:
        parser.error(f"there is no document {', '.join(sorted(unknown))}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told_to_end)
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "rondo"], cwd=ROOT, check=True)
    findings = []
    with LocalStack(SETTINGS) as stack:
        for name in arguments.documents or names:
            findings += hold(name, stack.url, arguments)
            if Run.ended_by:
                sys.exit(128 + Run.ended_by)
            if stack.process.poll() is not None:
                findings.append(f"the local stack ended by itself; it said last:\n{stack.logged()[-4000:]}")
                break
    findings += stack.remains()
    print(*findings or ["every answer is as the documents declare it"], sep="\n")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
