"""A TCP proxy between the functions and the store, which plays faults.

`pass`: as if it were not there. `refuse`: nobody listens. `hang`: requests arrive and are never answered, nor done.
`late`: requests are held back for longer than anybody waits, and are done then. `slow`: for a moment only, within every
time-out. `lose`: requests are done, and every answer is lost. The last three spare what charges a rate bucket, which
comes first: the fault is to strike what the answer depends on.
"""

import socket
import struct
import threading
import time

# Longer than the functions try, which is under three seconds.
LATE_SECS = 4
SLOW_SECS = 0.2
FAULTS = {
    "refuse": "store down: connections are refused",
    "hang": "store slow: nothing is answered or done",
    "late": "store slow: all is done when nobody waits any more",
    "lose": "store done, its answers lost",
}
# What DynamoDB's requests say of the operation, in their head.
CHARGING = b"DynamoDB_20120810.UpdateItem"


class Proxy:
    def __init__(self, upstream_port):
        self.upstream = ("127.0.0.1", upstream_port)
        self.mode = "pass"
        self.requests = 0
        self._lock = threading.Lock()
        self._open = set()
        self._listener = None
        self.port = self._listen(0)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _listen(self, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener.getsockname()[1]

    def play(self, mode):
        """Plays this fault from now on. Whatever the one before has spoilt is cut off."""
        with self._lock:
            before, self.mode = self.mode, mode
            spoilt = [pair.client for pair in self._open if mode == "refuse" or pair.spoilt]
        if mode == "refuse":
            # It closes only when nobody accepts from it any more.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        elif before == "refuse":
            self._listen(self.port)
        for client in spoilt:
            # Only this half: what is held back for the store is still to reach it.
            reset(client)

    def end(self):
        if self.mode != "refuse":
            self.play("refuse")

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                pair = Pair(client, socket.create_connection(self.upstream, timeout=5))
            except OSError:
                reset(client)
                continue
            with self._lock:
                self._open.add(pair)
            for pump in (self._requests, self._answers):
                threading.Thread(target=pump, args=(pair,), daemon=True).start()

    def _requests(self, pair):
        while data := received(pair.client):
            mode = self.mode
            if mode in ("late", "slow", "lose") and CHARGING in data:
                mode = "pass"
            self.requests += 1
            pair.spoilt = mode in ("hang", "late", "lose")
            if mode == "hang":
                continue
            if mode in ("late", "slow"):
                time.sleep(LATE_SECS if mode == "late" else SLOW_SECS)
            try:
                pair.store.sendall(data)
            except OSError:
                break
        self._forget(pair)

    def _answers(self, pair):
        while data := received(pair.store):
            if pair.spoilt:
                # The store has done it; nobody is told.
                break
            try:
                pair.client.sendall(data)
            except OSError:
                break
        self._forget(pair)

    def _forget(self, pair):
        with self._lock:
            self._open.discard(pair)
        pair.cut()


class Pair:
    """A connection of a function's, and its other half."""

    def __init__(self, client, store):
        store.settimeout(None)
        for half in (client, store):
            half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client, self.store, self.spoilt = client, store, False

    def cut(self):
        reset(self.client)
        # Not reset: the store is to do what it has been sent.
        self.store.close()


def received(half):
    try:
        return half.recv(65536)
    except OSError:
        return b""


def reset(half):
    """Closes without waiting: the other side sees a reset, as of a server that has died."""
    try:
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        half.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    half.close()
