"""An emulated AWS on this machine, and calls to what is deployed in it. Ends all that it started, whatever happens."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from template import REGION, ROOT

TOOLS = ROOT / ".tools"
PATIENCE_SECS = 60


class Answer:
    """What came back: nothing of it is printed but its status and the error's code."""

    def __init__(self, response, body):
        self.status = response.status
        self.cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def cookie(self, name):
        """The cookie as a client sends it the next time; None where none was set, or it was cleared."""
        pairs = [cookie.split(";")[0] for cookie in self.cookies if cookie.startswith(f"{name}=")]
        return next((pair for pair in pairs if len(pair) > len(name) + 1), None)

    def __repr__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace') if self.status >= 400 else ''}"


class Cloud:
    """The emulator, while it runs."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = open(folder / "emulator.log", "wb")
        self.process = None
        self.api_id = None
        # Every refresh token that a client was given.
        self.tokens = set()

    def start(self):
        # Functions inherit this environment: it has to be a clean one. Without BIND_HOST it listens to the network.
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder), "TMPDIR": str(self.folder), "AUTH": "true",
            "GATEWAY_PORT": str(self.port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0",
            "AWS_ENDPOINT_URL": self.url,
        }
        command = [str(TOOLS / "emulator/bin/python"), str(ROOT / "tests/deployment/emulator.py")]
        self.process = subprocess.Popen(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        until(lambda: self.call("GET", "/_ministack/health", host="127.0.0.1").status == 200, "the emulator to start")

    def stop(self):
        """Ends the emulator, and then whatever still works for it: its functions are processes of this machine."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in self.functions():
            os.kill(process, signal.SIGKILL)
        self.log.close()

    def functions(self):
        """The processes whose environment names this emulator."""
        marker, found = f"AWS_ENDPOINT_URL={self.url}".encode(), []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/environ", "rb") as environment:
                    if marker in environment.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
        return found

    @staticmethod
    def environment(url):
        """What a command line tool needs to reach the emulator and nothing else."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CI", "TERM", "LANG")
                if name in os.environ}
        return {**kept, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": url,
                "SAM_CLI_TELEMETRY": "0"}

    def run(self, *command, given=None, fails=False):
        """Runs a command against the emulator; its output, or an error with all of it."""
        done = subprocess.run([str(part) for part in command], cwd=ROOT, env=self.environment(self.url), input=given,
                              stdin=subprocess.DEVNULL if given is None else None, capture_output=True, text=True)
        if (done.returncode != 0) != fails:
            raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr if fails else done.stdout

    def client(self, service):
        """The emulator's root's client."""
        return self.client_of(service, ("test", "test", None))

    def client_of(self, service, keys):
        key, secret, token = keys
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key,
                            aws_secret_access_key=secret, aws_session_token=token)

    def last_words(self):
        """The end of the emulator's log, for a test that failed."""
        self.log.flush()
        return (self.folder / "emulator.log").read_text(errors="replace")[-4_000:]

    def call(self, method, path, headers=None, body=None, host=None):
        """One request to the gateway, with a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECS)
        host = host or f"{self.api_id}.execute-api.localhost:{self.port}"
        data = json.dumps(body).encode() if body is not None else b""
        given = {"Host": host, "Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method, path, body=data, headers=given)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def signed(self, method, path, keys, body=None):
        """The same, signed by whoever has these keys (SigV4), as a backend does it."""
        host = f"{self.api_id}.execute-api.localhost:{self.port}"
        data = json.dumps(body).encode() if body is not None else b""
        request = AWSRequest(method, f"http://{host}{path}", data=data, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(*keys), "execute-api", REGION).add_auth(request)
        return self.call(method, path, dict(request.headers.items()), body)


def until(holds, what, patience_secs=PATIENCE_SECS):
    """Waits for another process to have done something."""
    deadline, last = time.monotonic() + patience_secs, None
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"waited {patience_secs} s in vain for {what}: {last}")


@contextmanager
def part(name):
    """Tells how long a part took."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    yield
    taken = time.monotonic() - started
    print(f"== {name}: {int(taken // 60)} min {taken % 60:04.1f} s", flush=True)
