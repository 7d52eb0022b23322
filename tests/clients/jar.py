"""A cookie jar like a browser's (RFC 6265 §5.3, §5.4), as far as one host needs it."""

import time

from report import hold


class SetCookie:
    """One `Set-Cookie` line: its name, its value and its attributes, in their order."""

    def __init__(self, line):
        pair, *attributes = [part.strip() for part in line.split(";")]
        self.line = line
        self.name, _, self.value = pair.partition("=")
        self.attributes = [(name, value) for name, _, value in (part.partition("=") for part in attributes)]

    def get(self, name):
        found = [value for attribute, value in self.attributes if attribute.lower() == name.lower()]
        return found[-1] if found else None

    @property
    def clears(self):
        """Whether a browser that gets it forgets the cookie."""
        age = self.get("Max-Age")
        return (age is not None and int(age) <= 0) or (age is None and "1970" in (self.get("Expires") or ""))


class Jar:
    """Cookies of one host, by name and path: two of one name and different paths are two cookies."""

    def __init__(self):
        self._kept = {}

    def take(self, answer):
        """Keeps what an answer sets, and forgets what it clears."""
        for line in answer.all("set-cookie"):
            cookie = SetCookie(line)
            key = (cookie.name, cookie.get("Path") or "/")
            if cookie.clears:
                self._kept.pop(key, None)
                continue
            age = cookie.get("Max-Age")
            ends = time.monotonic() + int(age) if age is not None else float("inf")
            self._kept[key] = (cookie.value, ends)

    def put(self, name, value, path):
        self._kept[(name, path)] = (value, float("inf"))

    def named(self, name):
        """The values of all cookies of this name, whatever their path."""
        return [value for (kept, _), (value, _) in self._kept.items() if kept == name]

    def only(self, name):
        """The one cookie of this name; a client that finds two does not know which is its own."""
        found = self.named(name)
        hold(len(found) == 1, f"a jar ends with one cookie {name}", f"{len(found)} of them")
        return found[0]

    def header(self, path):
        """The `Cookie` header of a request to `path`: longer paths first. None where nothing matches."""
        now = time.monotonic()
        fitting = [
            (kept_path, name, value)
            for (name, kept_path), (value, ends) in self._kept.items()
            if ends > now and matches(path, kept_path)
        ]
        fitting.sort(key=lambda cookie: -len(cookie[0]))
        return "; ".join(f"{name}={value}" for _, name, value in fitting) or None


def matches(path, cookie_path):
    """RFC 6265 §5.1.4."""
    if path == cookie_path:
        return True
    return path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
