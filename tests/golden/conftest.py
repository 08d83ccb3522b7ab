"""Says in one line where the recordings are not beside the project: a run without them proves less than it seems."""

from __future__ import annotations

import pytest

from tests.golden.recordings import FOLDER


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell it at the end of a run, whether skips are listed or not."""
    if not FOLDER.is_dir():
        terminalreporter.write_line(
            f"golden: no recordings in {FOLDER}; recorded traffic was not replayed.", yellow=True
        )
