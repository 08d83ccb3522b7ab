"""One Django process that runs management commands for a test, so that each costs milliseconds instead of seconds.

Reads ``{"id": …, "arguments": […]}`` a line, answers ``{"id": …, "output": …}`` or ``{"id": …, "error": …}`` a line, ends
with its input. A test that was stopped while it waited leaves an answer behind: the id tells whose it is.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

import django
from django.core.management import CommandError, call_command
from django.db import close_old_connections


def run(arguments: list[str]) -> dict[str, str]:
    """Run one command as the command line would."""
    output = io.StringIO()
    close_old_connections()
    try:
        with contextlib.redirect_stdout(output):
            call_command(*arguments, stdout=output)
    except CommandError as exc:
        return {"error": str(exc)}
    except SystemExit as exc:
        if exc.code:
            return {"error": f"exit status {exc.code}: {output.getvalue()}"}
    return {"output": output.getvalue()}


def main() -> None:
    """Serve until the input ends."""
    # Answers get a pipe of their own: logs are written to what was standard output when Django was set up.
    answers, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps({"id": asked["id"], **run(asked["arguments"])}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
