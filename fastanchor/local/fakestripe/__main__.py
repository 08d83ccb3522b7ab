"""Start the fake Stripe: ``python -m fastanchor.local.fakestripe --port 8003``."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

import msgspec
import uvicorn

from fastanchor.local.fakestripe.app import FakeStripe
from fastanchor.local.fakestripe.delivery import Address, Post
from fastanchor.local.fakestripe.world import VERSION, World
from fastanchor.local.sandbox.protocol import Protocol

_BACKLOG = 2048


def main() -> int:
    """Serve until a signal; return the exit status."""
    options = _options()
    try:
        listener = socket.create_server((options.host, options.port), backlog=_BACKLOG)
    except OSError as exc:
        sys.stderr.write(f"stripe: cannot listen on {options.host}:{options.port}: {exc.strerror}\n")
        return 1
    logging.basicConfig(level=logging.WARNING, format="stripe: %(message)s")
    try:
        world = World(options.data)
    except (OSError, msgspec.DecodeError) as exc:
        sys.stderr.write(f"stripe: {options.data} cannot be read: {exc}; remove it to begin anew.\n")
        return 1
    world.base_url = f"http://{options.host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        FakeStripe(world, Post(world, _addresses(options))),
        http=Protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    sys.stdout.write(f"stripe: serving on {world.base_url}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _addresses(options: argparse.Namespace) -> list[Address]:
    if not options.webhook_url:
        return []
    return [Address("we_from_the_command_line", options.webhook_url, options.webhook_secret, VERSION)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastanchor.local.fakestripe", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8003, help="0 takes a free one and prints it")
    parser.add_argument("--data", type=Path, help="a file that remembers everything")
    parser.add_argument("--webhook-url", help="where every event goes")
    # The environment too, so that no list of processes shows it.
    secret = os.environ.get("STRIPE_WEBHOOK_SECRET", "whsec_test").split(",")[0]
    parser.add_argument("--webhook-secret", default=secret, help="what signs them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
