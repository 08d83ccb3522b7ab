"""``python -m tests.golden.openai_schemas openapi.json``: makes ``openai_schemas.json`` anew from OpenAI's document.

The document is ``openapi.json`` of github.com/openai/openai-openapi. What belongs to our answers is kept: the schemas
below and all that they refer to, without what validates nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MADE = Path(__file__).with_name("openai_schemas.json")
ROOTS = (
    "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateCompletionResponse",
    "CreateEmbeddingResponse", "CreateModerationResponse", "ErrorResponse", "ImagesResponse", "ListModelsResponse",
    "ResponseItemList", "ResponseStreamEvent",
)  # fmt: skip
_REFERENCE = "#/components/schemas/"
_IDLE = {"default", "deprecated", "description", "example", "title"}


def made(document: Any) -> str:
    """Return the file's text for a document."""
    schemas = document["components"]["schemas"]
    kept = {name: _bare(schemas[name]) for name in sorted(_needed(schemas))}
    return json.dumps(kept, separators=(",", ":"))


def _needed(schemas: Any) -> set[str]:
    found: set[str] = set()
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(_bare(schemas[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    elif isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str):
            yield target.removeprefix(_REFERENCE)
        for each in value.values():
            yield from _references(each)


def _bare(schema: Any) -> Any:
    """Return a schema without what validates nothing; properties may have any name."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _bare(each) for name, each in value.items()} if key == "properties" else _bare(value)
        for key, value in schema.items()
        if key not in _IDLE and not key.startswith("x-")
    }


def main() -> int:
    """Write the file; with ``--check`` exit 1 where it is another than the document makes."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.openai_schemas", description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("--check", action="store_true")
    words = parser.parse_args()
    text = made(json.loads(words.document.read_text(encoding="utf-8")))
    if words.check:
        return int(text != MADE.read_text(encoding="utf-8"))
    MADE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
