"""Runs snippets one after the other in one process, each as a program of its own: ``[[name, text], …]`` on its input."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback


def run(text: str) -> dict[str, str]:
    """Return what a snippet printed, or why it failed."""
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(text, "snippet", "exec"), {"__name__": "__main__"})  # noqa: S102 - that is what it is for
    except Exception:  # noqa: BLE001 - whatever a snippet raises is told
        return {"failed": traceback.format_exc()}
    return {"printed": output.getvalue()}


told = [{"name": name, **run(text)} for name, text in json.load(sys.stdin)]
sys.stdout.write(json.dumps(told) + "\n")
