"""What the scenes found: one line for each, and what differs from the contract with the contract's own words."""

import re
import threading
import traceback

# Tokens, cookies and bearer headers are not for a log, be they of a stack that is gone in a minute.
TOKEN = re.compile(r"eyJ[A-Za-z0-9_.-]{8,}")


class Difference(AssertionError):
    """An answer is not what the contract says."""

    def __init__(self, contract, got):
        super().__init__(contract)
        self.contract, self.got = contract, got


def hold(true, contract, got):
    """`contract`, in its own words, has to hold; `got` is shown where it does not."""
    if not true:
        raise Difference(contract, got)


def equal(got, wanted, contract):
    if got != wanted:
        raise Difference(f"{contract}: {wanted!r}", repr(got))


def together(functions):
    """Runs all of them at once, each in a thread, and returns what they returned, in their order. Raises the first error."""
    outcomes = [None] * len(functions)

    def run(number, function):
        try:
            outcomes[number] = (function(), None)
        except BaseException as error:  # noqa: BLE001, it is raised again below
            outcomes[number] = (None, error)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, error in outcomes:
        if error is not None:
            raise error
    return [value for value, _ in outcomes]


class Report:
    """Plays scenes and keeps what they found."""

    def __init__(self, only):
        self.only = only
        self.played = 0
        self.found = []
        self._lock = threading.Lock()

    def wants(self, product):
        return not self.only or product in self.only

    def play(self, product, scene, function, counts=True):
        """Plays one scene; one that does not count is heard of only where it fails. An error of the harness itself counts as
        a difference too: nothing was shown."""
        difference = None
        try:
            function()
        except Difference as error:
            difference = f"expected {error.contract}\n      got {error.got}"
        except Exception:  # noqa: BLE001
            difference = f"the scene did not end:\n{traceback.format_exc()}"
        if difference is None and not counts:
            return True
        with self._lock:
            self.played += 1
            print(f"{product:10} {'ok     ' if difference is None else 'DIFFERS'} {scene}", flush=True)
            if difference is not None:
                shown = TOKEN.sub("<token>", difference)
                print(f"      {shown}", flush=True)
                self.found.append(f"{product}: {scene}\n      {shown}")
        return difference is None

    def total(self):
        """Prints the total; returns the exit code."""
        print(f"\n{self.played} scenes, {len(self.found)} not as the contract has them")
        for finding in self.found:
            print(f"  {finding}")
        return 1 if self.found or not self.played else 0
