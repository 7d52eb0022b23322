"""The local stack, `rondo dev`, for programs that ask it: started, waited for, and ended with all that it started."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RONDO = ROOT / "target/debug/rondo"
# A cold build of every function takes many minutes; a warm start takes seconds.
READY_WITHIN_SECS = 30 * 60
ENDED_WITHIN_SECS = 30


def free_ports(count):
    """So many, each another: all are held until all are known."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def end_when_told():
    """Has SIGINT and SIGTERM end this program as any exit does, and with it what it started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def running(process):
    """What still runs of the session of processes that this one began."""
    listed = subprocess.run(["ps", "-A", "-o", "sid=,pid=,args="], check=True, stdout=subprocess.PIPE, text=True)
    processes = (line.split(None, 2) for line in listed.stdout.splitlines())
    return [f"still running: {pid} {what}" for sid, pid, what in processes if int(sid) == process.pid]


class LocalStack:
    """The local stack, in memory and on free ports, in a session of processes of its own."""

    def __init__(self, settings):
        self.settings = settings
        self.port, self.db_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.NamedTemporaryFile(mode="w+", prefix="rondo-local-", suffix=".log")

    def more(self):
        """What else `rondo dev` is told."""
        return []

    def __enter__(self):
        command = [RONDO, "dev", "--memory", "--port", str(self.port), "--db-port", str(self.db_port), *self.more()]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **self.settings}, stdout=self.log, stderr=self.log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + READY_WITHIN_SECS
            while "the local stack is ready" not in self.logged():
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{self.logged()}\nthe local stack did not come up; what it said stands above")
                time.sleep(0.1)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def logged(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(ENDED_WITHIN_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remains(self):
        """What of it still runs."""
        return running(self.process)
