"""Start the sandbox: ``python -m fastanchor.local.sandbox --port 8100``."""

from __future__ import annotations

import argparse
import logging
import socket
import sys

import uvicorn

from fastanchor.local.sandbox.app import Sandbox
from fastanchor.local.sandbox.playback import Pace
from fastanchor.local.sandbox.protocol import Protocol

_BACKLOG = 2048


def main() -> int:
    """Serve until a signal; return the exit status."""
    options = _options()
    try:
        listener = socket.create_server((options.host, options.port), backlog=_BACKLOG)
    except OSError as exc:
        sys.stderr.write(f"sandbox: cannot listen on {options.host}:{options.port}: {exc.strerror}\n")
        return 1
    logging.basicConfig(level=logging.WARNING, format="sandbox: %(message)s")
    # Unfinished responses are ordered here, so the server's complaint about them is noise.
    logging.getLogger("uvicorn.error").addFilter(lambda line: "without completing" not in line.getMessage())
    application = Sandbox(pace=Pace(options.first_ms, options.delay_ms), fail_status=options.fail_status)
    config = uvicorn.Config(
        application,
        http=Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    sys.stdout.write(f"sandbox: serving on http://{options.host}:{listener.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastanchor.local.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100, help="0 takes a free one and prints it")
    parser.add_argument("--first-ms", type=int, default=60, help="before the first token")
    parser.add_argument("--delay-ms", type=int, default=8, help="between two tokens")
    parser.add_argument("--fail-status", type=int, default=0, help="refuse every request with this status")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
