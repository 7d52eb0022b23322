#!/usr/bin/env python3
"""Starts ministack and Amazon's DynamoDB Local on 127.0.0.1, runs a command with their addresses in its environment,
and ends both. `make test-stores` installs them first, into the folder that TOOLS names."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = pathlib.Path(os.environ.get("TOOLS", ".tools")).resolve()
START_SECS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_ministack(log, home):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # A clean environment, and these three, or it listens on every interface and speaks to AWS's own host names.
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": home, "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "AWS_ENDPOINT_URL": url,
    }
    process = subprocess.Popen([TOOLS / "ministack" / "bin" / "ministack"], env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + START_SECS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=2):
                return process, url
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"ministack did not start: see {log.name}") from None
            time.sleep(0.1)


def start_dynamodb_local(log):
    jars = TOOLS / "dynamodb-local"
    command = ["java", f"-Djava.library.path={jars}", "-cp", f"{jars}/*", HERE / "Loopback.java"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    port = process.stdout.readline().strip()
    if not port:
        raise SystemExit(f"DynamoDB Local did not start (it needs Java 17): see {log.name}")
    return process, f"http://127.0.0.1:{port}"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    processes = []
    log = tempfile.NamedTemporaryFile("w", prefix="stores-", suffix=".log", delete=False)
    with log, tempfile.TemporaryDirectory() as home:
        try:
            ministack, ministack_url = start_ministack(log, home)
            processes.append(ministack)
            local, local_url = start_dynamodb_local(log)
            processes.append(local)
            environment = os.environ | {"RONDO_MINISTACK_URL": ministack_url, "RONDO_DYNAMODB_LOCAL_URL": local_url}
            status = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=START_SECS)
    if status == 0:
        os.unlink(log.name)
    else:
        print(f"what the stores said: {log.name}", file=sys.stderr)
    print(f"stores: {time.monotonic() - started:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
