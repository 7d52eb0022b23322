"""Runs a client of each product, written from the contract alone, against the local stack, scene by scene.

    .tools/bin/python tests/clients/run.py [uniqos | dreadnode | elastic | replyke | sessions ...]

Exits 1 where an answer is not as the contract has it, and where anything of a stack outlives it. Refuses, as `rondo dev`
does, while another stack runs from this checkout.
"""

import argparse
import subprocess
import sys
import time

import dreadnode
import elastic
import replyke
import sessions
import uniqos
from local import end_when_told
from proxy import FAULTS, LATE_SECS
from report import Report, together
from stack import ROOT, Stack, World, time_passes

PRODUCTS = [uniqos, dreadnode, elastic, replyke, sessions]


def settings(name):
    return {key: value for product in PRODUCTS for key, value in getattr(product, name, {}).items()}


def play(report, world, chapter):
    """Each product's scenes, one after another."""
    for product in PRODUCTS:
        if not report.wants(product.NAME) or not hasattr(product, chapter):
            continue
        scenes = []
        report.play(
            product.NAME,
            f"what all scenes of this stack ({chapter}) begin with",
            lambda product=product: scenes.extend(getattr(product, chapter)(world)),
            counts=False,
        )
        for scene, function in scenes:
            report.play(product.NAME, scene, function)


def outages(report, world):
    """One fault after another; all products' clients are in it at once, so that their time-outs are waited for once."""
    for fault, what in FAULTS.items():
        clients = {}

        def each(step, words):
            together(
                [
                    lambda product=product, client=client: report.play(product.NAME, words, lambda: step(client))
                    for product, client in clients.items()
                ]
            )

        for product in PRODUCTS:
            if report.wants(product.NAME):
                report.play(
                    product.NAME,
                    f"{what}: what it begins with",
                    lambda product=product: clients.update({product: product.Outage(world)}),
                    counts=False,
                )
        began = time.monotonic()
        world.proxy.play(fault)
        try:
            each(lambda client: client.during(fault), f"{what}: a passing failure, nothing is dropped")
        finally:
            world.proxy.play("pass")
        each(lambda client: client.after(), f"{what}: afterwards the same token works")
        if fault == "late":
            time_passes(began + LATE_SECS + 1 - time.monotonic())
            each(lambda client: client.after(), f"{what}: and works on when that was done")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [product.NAME for product in PRODUCTS]
    parser.add_argument("products", nargs="*", metavar="product", help=f"of {', '.join(names)} [default: all]")
    arguments = parser.parse_args()
    unknown = set(arguments.products) - set(names)
    if unknown:
        parser.error(f"there is no product {', '.join(sorted(unknown))}")
    end_when_told()
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "rondo"], cwd=ROOT, check=True)
    report = Report(arguments.products)
    chapters = [
        ("scenes", settings("SETTINGS"), 4, [outages]),
        ("tight", {**settings("SETTINGS"), **settings("TIGHT")}, 1, []),
        ("off", {**settings("SETTINGS"), **settings("OFF")}, 4, []),
    ]
    for chapter, told, concurrency, more in chapters:
        with Stack(told, concurrency) as stack:
            world = World(stack, report)
            play(report, world, chapter)
            for function in more:
                function(report, world)
            if stack.process.poll() is not None:
                report.found.append(f"the local stack ended by itself; it said last:\n{stack.logged()[-4000:]}")
        report.found += stack.remains()
    sys.exit(report.total())


if __name__ == "__main__":
    main()
