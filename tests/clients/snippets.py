"""The parts of the programs that the documentation shows, with its own values or with a test's."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

_REGION = re.compile(
    r"^[ \t]*(?:#|//) Documented from here\.\n(.*?)^[ \t]*(?:#|//) Documented until here\.$",
    re.DOTALL | re.MULTILINE,
)
_VALUE_OF_NAME = {"BASE_URL": "base_url", "API_KEY": "api_key", "MODEL": "model", "PROMPT": "prompt"}
# A name of a value in a program: not an argument's name, not a field, not inside a text.
_CODE_NAME = re.compile(r"(?<![\w.\"'`])(BASE_URL|API_KEY|model|prompt)(?![\w\"'`=:])")
_TEXT_NAME = re.compile(r"\b(BASE_URL|API_KEY|MODEL|PROMPT)\b")


@dataclass(frozen=True, slots=True)
class Values:
    """What stands where a program has names."""

    base_url: str
    api_key: str
    model: str
    prompt: str


def documented(program: Path, values: Values) -> str:
    """Return what the documentation shows of a program; a file without marks is shown whole."""
    source = program.read_text(encoding="utf-8")
    regions = [textwrap.dedent(region).strip("\n") for region in _REGION.findall(source)]
    shown = "\n\n".join(regions) or source.strip("\n")
    if program.suffix in {".py", ".mjs"}:
        return _CODE_NAME.sub(lambda found: json.dumps(_value(values, found[1])), shown)
    return _TEXT_NAME.sub(lambda found: _value(values, found[1]), shown)


def _value(values: Values, name: str) -> str:
    return str(getattr(values, _VALUE_OF_NAME[name.upper()]))
