"""The documentation of the clients is what its generator writes."""

from __future__ import annotations

from pathlib import Path

from tests.clients.environments import NODE_LOCKS, PYTHON_LOCKS
from tests.clients.page import PAGE, SECTIONS, page
from tests.clients.running import PROGRAMS
from tests.clients.snippets import Values, documented
from tests.clients.table import CLIENTS

VALUES = Values("http://here/v1", "fa_live_mine", "some-model", "Hi.")


def test_the_page_is_as_generated() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "Run ./dev clients --docs."


def test_every_driven_client_is_on_the_page() -> None:
    shown = {where for section in SECTIONS for _, where in section.versions}
    locked = {path.stem for path in PYTHON_LOCKS.glob("*.in")} | {path.name for path in NODE_LOCKS.iterdir()}

    assert {client.environment for client in CLIENTS} <= shown
    assert locked - {"runtime"} == shown


def test_names_become_values_but_arguments_and_texts_stay(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "hidden = 1\n"
        "def f():\n"
        "    # Documented from here.\n"
        '    ask(BASE_URL, key=API_KEY, model=model, body={"model": model, "content": prompt}, text="a model")\n'
        "    # Documented until here.\n"
    )

    assert documented(program, VALUES) == (
        'ask("http://here/v1", key="fa_live_mine", model="some-model",'
        ' body={"model": "some-model", "content": "Hi."}, text="a model")'
    )


def test_every_program_is_documented_whole_or_in_marked_parts() -> None:
    for section in SECTIONS:
        for program in section.programs:
            text = documented(PROGRAMS / program, VALUES)

            assert "http://here/v1" in text
            assert "Documented" not in text
