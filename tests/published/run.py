"""Plays the published clients of the products, as their registries have them, against the local stack, scene by scene.

    make test-published [ARGS="uniqos dreadnode elastic replyke"]

Each client is driven by a program of this folder, in a process of its own, which tells of each scene in a line of JSON, and
in such a line asks for the store's faults. Exits 1 where a client met what its product's contract excludes, where a program
did not play to its end, and where anything outlives it. Refuses, as `rondo dev` does, while another stack runs from this
checkout.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE.parent / "clients"
sys.path.insert(0, str(CLIENTS))
from local import ROOT, end_when_told, running  # noqa: E402  (shared with the clients' scenes)
from report import Difference, Report, hold  # noqa: E402
from stack import PASSWORD, Stack  # noqa: E402

INSTALLED = ROOT / ".tools/published"
# Where Replyke's page is.
ORIGIN = "https://forum.example"
# Long enough for a retry to come inside the window on a machine that is busy with other things; some scenes wait until it
# is over.
GRACE_SECS = "4"
# Far longer than any program takes.
PROGRAM_SECS = 300

WIDE = {
    "UNIQOS_GRACE_SECS": GRACE_SECS,
    "UNIQOS_RATE_LIMIT": "1000",
    "DREADNODE_GRACE_SECS": GRACE_SECS,
    "DREADNODE_RATE_LIMIT": "1000",
    # The older of the two CLIs is just new enough.
    "DREADNODE_MIN_CLIENT_VERSION": "0.2.2",
    "ELASTIC_RATE_LIMIT": "1000",
    "REPLYKE_RATE_LIMIT": "1000",
    "REPLYKE_ALLOWED_ORIGINS": ORIGIN,
}
TIGHT = {
    # Longer than the clients wait for a limit to be over.
    "UNIQOS_GRACE_SECS": "60",
    "UNIQOS_RATE_LIMIT": "4",
    "DREADNODE_GRACE_SECS": "60",
    "DREADNODE_RATE_LIMIT": "4",
    "DREADNODE_MIN_CLIENT_VERSION": "0.3.0",
    "ELASTIC_RATE_LIMIT": "4",
    "REPLYKE_RATE_LIMIT": "10",
    "REPLYKE_ALLOWED_ORIGINS": ORIGIN,
}
OFF = {"UNIQOS_GRACE_SECS": "0", "DREADNODE_GRACE_SECS": "0", "ELASTIC_GRACE_SECS": "0"}
ROTATING = {**WIDE, "REPLYKE_ROTATE_COOKIES": "true", "REPLYKE_GRACE_SECS": GRACE_SECS}
# By name: what the functions are told, and how many instances of each may run. Where a limit or a conflict is to be met,
# one: a second one that starts slowly would meet neither.
STACKS = {"wide": (WIDE, 4), "tight": (TIGHT, 1), "off": (OFF, 1), "rotating": (ROTATING, 4)}

Program = collections.namedtuple("Program", ["product", "stacks", "command", "environment"])


def python(product, stacks, client, name):
    """The client's folder comes first: two modules of the clients' scenes are called as packages of it are."""
    path = os.pathsep.join(map(str, [INSTALLED / client, CLIENTS]))
    return Program(product, stacks, [INSTALLED / "venv/bin/python", HERE / name], {"PYTHONPATH": path})


def node(product, stacks, name):
    return Program(product, stacks, ["node", HERE / "replyke" / name], {"INSTALLED": str(INSTALLED / "replyke")})


PROGRAMS = [
    python("uniqos", ["wide", "tight", "off"], "uniqos", "uniqos_sdk.py"),
    python("dreadnode", ["wide", "tight"], "dreadnode-cli", "dreadnode_clis.py"),
    python("dreadnode", ["wide"], "dreadnode-1", "dreadnode_clis.py"),
    python("dreadnode", ["wide", "tight", "off"], "dreadnode-2", "dreadnode_sdk.py"),
    Program("elastic", ["wide", "tight", "off"], [INSTALLED / "elastic"], {}),
    node("replyke", ["wide", "tight", "rotating"], "web.mjs"),
    node("replyke", ["wide"], "native.mjs"),
]


def environment(program, name, stack, home):
    """All that a program has of the environment: no configuration file, proxy or token of whoever runs this."""
    told = {"URL": stack.url, "STACK": name, "GRACE_SECS": GRACE_SECS, "ORIGIN": ORIGIN, "PASSWORD": PASSWORD}
    return {"PATH": os.environ["PATH"], "HOME": home, "PYTHONDONTWRITEBYTECODE": "1", **told, **program.environment}


def play(report, program, name, stack):
    """Plays one program's scenes on one stack."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            program.command,
            env=environment(program, name, stack, home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        overdue = threading.Timer(PROGRAM_SECS, process.kill)
        overdue.start()
        before = report.played
        try:
            for line in process.stdout:
                heard(report, program, stack, process, json.loads(line))
            process.wait()
        finally:
            overdue.cancel()
            process.kill()
            process.wait()
            stack.proxy.play("pass")
        what = f"{pathlib.Path(program.command[-1]).name} plays to its end ({name})"
        report.play(program.product, what, lambda: ended(process, report.played - before, said), counts=False)
        report.found += running(process)


def heard(report, program, stack, process, message):
    """What a program tells: how a scene went, or which fault it needs next, for which it waits."""
    if "fault" in message:
        stack.proxy.play(message["fault"])
        process.stdin.write("\n")
        process.stdin.flush()
        return
    report.play(program.product, f"{message['client']}: {message['scene']}", lambda: agrees(message["difference"]))


def agrees(difference):
    if difference:
        raise Difference(*difference)


def ended(process, scenes, said):
    """That it has played scenes and ended by itself; what it said is shown where it has not."""
    said.seek(0)
    got = f"{process.returncode}, {scenes}:\n{said.read()[-4000:]}"
    hold(process.returncode == 0 and scenes > 0, "exit code 0, and scenes", got)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(program.product for program in PROGRAMS))
    parser.add_argument("products", nargs="*", metavar="product", help=f"of {', '.join(names)} [default: all]")
    arguments = parser.parse_args()
    unknown = set(arguments.products) - set(names)
    if unknown:
        parser.error(f"there is no product {', '.join(sorted(unknown))}")
    end_when_told()
    began = time.monotonic()
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "rondo"], cwd=ROOT, check=True)
    report = Report(arguments.products)
    for name, (settings, concurrency) in STACKS.items():
        programs = [program for program in PROGRAMS if report.wants(program.product) and name in program.stacks]
        if not programs:
            continue
        with Stack(settings, concurrency) as stack:
            for program in programs:
                play(report, program, name, stack)
            if stack.process.poll() is not None:
                report.found.append(f"the local stack ended by itself; it said last:\n{stack.logged()[-4000:]}")
        report.found += stack.remains()
    code = report.total()
    print(f"{time.monotonic() - began:.0f} seconds")
    sys.exit(code)


if __name__ == "__main__":
    main()
