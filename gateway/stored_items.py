"""The items before a response's output, as ``GET /v1/responses/{id}/input_items`` lists them.

Callers may write items briefly: without an id, a message's content as plain text. A list shows them in full, with ids
that stay the same from one page to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
}
# Items whose type has no ``status``.
_WITHOUT_STATUS = frozenset({"reasoning", "compaction", "mcp_approval_request", "mcp_approval_response"})


class Page(msgspec.Struct):
    """One page of the list."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class UnknownItem(Exception):
    """There is no item of the id after which the page is to begin."""


def page(items: Sequence[Raw], response_id: str, *, limit: int, is_newest_first: bool, after: str) -> Page:
    """Return a page of the items of a response; raises ``UnknownItem``."""
    listed = [_in_full(msgspec.json.decode(item), response_id, place) for place, item in enumerate(items)]
    if is_newest_first:
        listed.reverse()
    start = 0
    if after:
        start = next((place + 1 for place, item in enumerate(listed) if item["id"] == after), 0)
        if not start:
            raise UnknownItem
    shown = listed[start : start + limit]
    return Page(
        object="list",
        data=shown,
        first_id=shown[0]["id"] if shown else None,
        last_id=shown[-1]["id"] if shown else None,
        has_more=len(listed) > start + limit,
    )


def _in_full(item: dict[str, Any], response_id: str, place: int) -> dict[str, Any]:
    kind = item.get("type") or "message"
    identity = item.get("id") or f"{_PREFIXES.get(kind, 'item')}_{response_id.removeprefix('resp_')}_{place}"
    item |= {"id": identity, "type": kind}
    if kind not in _WITHOUT_STATUS and not item.get("status"):
        item["status"] = "completed"
    if kind == "message":
        item["content"] = _contents(item)
    return item


def _contents(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    if not isinstance(content, str):
        return content or []
    if message.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": [], "logprobs": []}]
    return [{"type": "input_text", "text": content}]
