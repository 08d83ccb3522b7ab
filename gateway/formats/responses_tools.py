"""The tools of a Responses body, and the choice among them, in the internal form.

Functions that live in a namespace are offered under their own names, because most protocols know no namespaces; where
two would be the same, the namespace is put in front. ``Namespaces`` remembers what each name stands for.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from gateway import form as f
from gateway.errors import InvalidRequest
from gateway.formats.reading import read

SEARCH_KINDS = frozenset(
    {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}
)
# Tools that only OpenAI's own protocol knows.
FOREIGN_KINDS = frozenset(
    {
        "file_search",
        "computer",
        "computer_use_preview",
        "code_interpreter",
        "image_generation",
        "mcp",
        "local_shell",
        "shell",
        "apply_patch",
        "tool_search",
        "programmatic_tool_calling",
    }
)
_Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]


class _Head(msgspec.Struct):
    type: str


class _Function(msgspec.Struct):
    name: _Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Parameters(msgspec.Struct):
    parameters: Raw


class _Grammar(msgspec.Struct, tag_field="type", tag="grammar"):
    syntax: Literal["lark", "regex"]
    definition: str


class _FreeText(msgspec.Struct, tag_field="type", tag="text"):
    pass


class _Custom(msgspec.Struct):
    name: _Name
    description: str | None = None
    format: _Grammar | _FreeText | None = None


class _Format(msgspec.Struct):
    format: Raw


class _Namespace(msgspec.Struct):
    name: _Name
    tools: list[Raw]
    description: str | None = None


class _Filters(msgspec.Struct):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class _Search(msgspec.Struct):
    filters: _Filters | None = None
    search_context_size: str | None = None
    user_location: dict[str, str | None] | None = None


_TOOLS = msgspec.json.Decoder(Annotated[list[Raw], Meta(max_length=512)])
_HEAD = msgspec.json.Decoder(_Head)
_FUNCTION = msgspec.json.Decoder(_Function)
_PARAMETERS = msgspec.json.Decoder(_Parameters)
_CUSTOM = msgspec.json.Decoder(_Custom)
_FORMAT = msgspec.json.Decoder(_Format)
_NAMESPACE = msgspec.json.Decoder(_Namespace)
_SEARCH = msgspec.json.Decoder(_Search)


class Namespaces:
    """Which namespace and name of its own each offered name stands for."""

    def __init__(self, tools: list[f.Tool]) -> None:
        own = [tool for tool in tools if isinstance(tool, f.FunctionTool | f.CustomTool)]
        counts = Counter(tool.name for tool in own)
        self._places: dict[str, tuple[str, str]] = {}
        self._names: dict[tuple[str, str], str] = {}
        for tool in own:
            if not tool.namespace:
                continue
            name = tool.name if counts[tool.name] == 1 else f"{tool.namespace}__{tool.name}"
            self._places[name] = (tool.namespace, tool.name)
            self._names[tool.namespace, tool.name] = name

    def offered(self, namespace: str, name: str) -> str:
        """Return the name under which a tool is offered."""
        return self._names.get((namespace, name), name)

    def place(self, name: str) -> tuple[str, str]:
        """Return namespace (or nothing) and own name of an offered tool."""
        return self._places.get(name, ("", name))


def read_tools(raw: Raw | UnsetType) -> list[f.Tool]:
    """Read the tools, each under its own name; raises ``InvalidRequest`` that names the place."""
    if raw is UNSET:
        return []
    tools: list[f.Tool] = []
    for place, tool in enumerate(read(_TOOLS, raw, "tools")):
        tools += _read_tool(tool, f"tools[{place}]", "")
    return tools


def offered_tools(tools: list[f.Tool], namespaces: Namespaces) -> list[f.Tool]:
    """Return the tools under the names by which they are offered."""
    return [
        msgspec.structs.replace(tool, name=namespaces.offered(tool.namespace, tool.name))
        if isinstance(tool, f.FunctionTool | f.CustomTool) and tool.namespace
        else tool
        for tool in tools
    ]


def _read_tool(raw: Raw, place: str, namespace: str) -> list[f.Tool]:
    kind = read(_HEAD, raw, place).type
    if kind == "function":
        return [_function(raw, place, namespace)]
    if kind == "custom":
        custom = read(_CUSTOM, raw, place)
        grammar = _FORMAT.decode(raw).format if custom.format is not None else None
        return [f.CustomTool(custom.name, custom.description or "", grammar, namespace)]
    if kind == "namespace" and not namespace:
        group = read(_NAMESPACE, raw, place)
        return [
            tool
            for index, each in enumerate(group.tools)
            for tool in _read_tool(each, f"{place}.tools[{index}]", group.name)
        ]
    if kind in SEARCH_KINDS and not namespace:
        return [_search(raw, place)]
    if kind in FOREIGN_KINDS and not namespace:
        return [f.ForeignTool("responses", kind, raw)]
    raise InvalidRequest(f"Tools of the type '{kind}' are not understood here.", param=f"{place}.type")


def _function(raw: Raw, place: str, namespace: str) -> f.FunctionTool:
    function = read(_FUNCTION, raw, place)
    schema = _PARAMETERS.decode(raw).parameters if function.parameters is not None else None
    return f.FunctionTool(
        function.name, function.description or "", schema, function.strict, namespace=namespace
    )


def _search(raw: Raw, place: str) -> f.WebSearch:
    search = read(_SEARCH, raw, place)
    filters = search.filters or _Filters()
    location = {key: value for key, value in (search.user_location or {}).items() if value and key != "type"}
    return f.WebSearch(
        allowed_domains=filters.allowed_domains or [],
        blocked_domains=filters.blocked_domains or [],
        context_size=search.search_context_size or "",
        location=location,
    )


_CHOICE: msgspec.json.Decoder[str | dict[str, Any]] = msgspec.json.Decoder(str | dict[str, Any])


def read_choice(raw: Raw | UnsetType, namespaces: Namespaces) -> f.ToolChoice:
    """Read which tool may or must be called; raises ``InvalidRequest``."""
    if raw is UNSET:
        return f.ToolChoice()
    choice = read(_CHOICE, raw, "tool_choice")
    if choice == "auto":
        return f.ToolChoice("auto")
    if choice == "none":
        return f.ToolChoice("none")
    if choice == "required":
        return f.ToolChoice("required")
    if isinstance(choice, str):
        raise InvalidRequest(
            "'tool_choice' must be 'auto', 'none', 'required' or name a tool.", param="tool_choice"
        )
    if choice.get("type") == "allowed_tools":
        tools = choice.get("tools")
        names = [_named(tool, namespaces) for tool in tools] if isinstance(tools, list) else []
        return f.ToolChoice("required" if choice.get("mode") == "required" else "auto", names)
    return f.ToolChoice("required", [_named(choice, namespaces)])


def _named(choice: object, namespaces: Namespaces) -> str:
    given = choice if isinstance(choice, dict) else {}
    kind, name = given.get("type"), given.get("name")
    if isinstance(kind, str):
        if kind in {"function", "custom"} and isinstance(name, str):
            return namespaces.offered(str(given.get("namespace") or ""), name)
        if kind in SEARCH_KINDS:
            return "web_search"
        if kind in FOREIGN_KINDS:
            return kind
    raise InvalidRequest("'tool_choice' must name a tool by its type and name.", param="tool_choice")
