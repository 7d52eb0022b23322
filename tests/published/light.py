"""Imports one module of a package without running the `__init__` of any package above it. Dreadnode's SDK imports gigabytes
there, of which its API client needs nothing."""

import importlib
import importlib.util
import pathlib
import sys
import types


def light(module):
    """The module of this full name."""
    first, *rest = module.split(".")
    if first not in sys.modules:
        empty(first, pathlib.Path(importlib.util.find_spec(first).origin).parent)
    for depth in range(1, len(rest)):
        name = ".".join([first, *rest[:depth]])
        if name not in sys.modules:
            empty(name, pathlib.Path(sys.modules[first].__path__[0], *rest[:depth]))
    return importlib.import_module(module)


def empty(name, folder):
    """Has the package of this name in this folder be there, and have nothing but its modules."""
    package = types.ModuleType(name)
    package.__path__, package.__file__ = [str(folder)], str(folder / "__init__.py")
    sys.modules[name] = package
