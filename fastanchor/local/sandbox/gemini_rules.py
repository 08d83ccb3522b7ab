"""Which keys Gemini knows where, and what it refuses with 400 although every key is known."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.seals import is_intact

# By the place of an object.
KEYS: dict[str, frozenset[str]] = {
    "root": frozenset(
        [
            "model",
            "contents",
            "systemInstruction",
            "tools",
            "toolConfig",
            "generationConfig",
            "safetySettings",
            "cachedContent",
            "labels",
            "serviceTier",
            "store",
        ]
    ),
    "content": frozenset({"role", "parts"}),
    "part": frozenset(
        [
            "text",
            "thought",
            "thoughtSignature",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
            "executableCode",
            "codeExecutionResult",
            "videoMetadata",
            "partMetadata",
            "toolCall",
            "toolResponse",
            "mediaResolution",
        ]
    ),
    "call": frozenset({"id", "name", "args"}),
    "response": frozenset({"id", "name", "response", "parts", "willContinue", "scheduling"}),
    "blob": frozenset({"mimeType", "data", "displayName"}),
    "file": frozenset({"mimeType", "fileUri", "displayName"}),
    "tool": frozenset(
        [
            "functionDeclarations",
            "googleSearch",
            "googleSearchRetrieval",
            "codeExecution",
            "urlContext",
            "fileSearch",
            "computerUse",
            "googleMaps",
            "mcpServers",
        ]
    ),
    "function": frozenset(
        [
            "name",
            "description",
            "parameters",
            "parametersJsonSchema",
            "response",
            "responseJsonSchema",
            "behavior",
        ]
    ),
    "tool_config": frozenset(
        {"functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"}
    ),
    "calling": frozenset({"mode", "allowedFunctionNames", "streamFunctionCallArguments"}),
    "config": frozenset(
        [
            "temperature",
            "topP",
            "topK",
            "candidateCount",
            "maxOutputTokens",
            "stopSequences",
            "responseMimeType",
            "responseSchema",
            "responseJsonSchema",
            "_responseJsonSchema",
            "responseModalities",
            "seed",
            "presencePenalty",
            "frequencyPenalty",
            "responseLogprobs",
            "logprobs",
            "thinkingConfig",
            "speechConfig",
            "mediaResolution",
            "imageConfig",
            "enableEnhancedCivicAnswers",
            "responseFormat",
        ]
    ),
    "thinking": frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"}),
}
_SCHEMA_KEYS = frozenset(
    [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
        "additionalProperties",
        "ref",
        "defs",
        "prefixItems",
        "max_items",
        "min_items",
        "min_properties",
        "max_properties",
        "min_length",
        "max_length",
        "any_of",
        "property_ordering",
        "additional_properties",
    ]
)
_MOST_STOPS = 5
_MOST_CANDIDATES = 8
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
_SIGNS = re.compile(r"gemini-[3-9]")
# What the protocol takes in place of a signature that was lost on the way through another provider.
_PASSES = {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"}
SIGNED_TEXT = "text"


def check(
    contents: list[dict[str, Any]], config: dict[str, Any], functions: list[dict[str, Any]], model: str
) -> None:
    """Raise ``BadRequest`` where Gemini would refuse a request."""
    _check_contents(contents)
    _check_config(config)
    _check_functions(functions)
    _refuse(
        bool(functions) and config.get("responseMimeType") == "application/json" and not _SIGNS.search(model),
        "Function calling with a response mime type: 'application/json' is unsupported",
    )
    _check_call_turns(contents)
    _check_seals(contents)
    if _SIGNS.search(model):
        _demand_seals(contents)


def _check_contents(contents: list[dict[str, Any]]) -> None:
    _refuse(not contents, "* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        _refuse(
            content.get("role", "user") not in {"user", "model", "function"},
            "Please use a valid role: user, model.",
        )
        _refuse(
            not content["parts"],
            f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty.\n",
        )
        for place, part in enumerate(content["parts"]):
            kinds = set(part) - {
                "thought",
                "thoughtSignature",
                "videoMetadata",
                "partMetadata",
                "mediaResolution",
            }
            _refuse(
                not kinds and "thoughtSignature" not in part,
                f"* GenerateContentRequest.contents[{number}].parts[{place}].data: required oneof field 'data' must "
                "have one initialized field\n",
            )
            _refuse(
                len(kinds) > 1,
                f"Invalid value at 'contents[{number}].parts[{place}]' (oneof), oneof field 'data' is already set.",
            )


def _check_config(config: dict[str, Any]) -> None:
    thinking = config.get("thinkingConfig") or {}
    _refuse(
        "thinkingBudget" in thinking and "thinkingLevel" in thinking,
        "You can only set only one of thinking budget and thinking level.",
    )
    stops = config.get("stopSequences") or []
    _refuse(
        len(stops) > _MOST_STOPS,
        f"Unable to submit request because it has {len(stops)} stop sequences but the maximum is {_MOST_STOPS}.",
    )
    candidates = config.get("candidateCount") or 1
    _refuse(
        not 1 <= candidates <= _MOST_CANDIDATES,
        f"Only {_MOST_CANDIDATES} candidates can be generated, got {candidates}.",
    )
    most = config.get("maxOutputTokens")
    _refuse(most is not None and most < 1, "max_output_tokens must be positive.")
    temperature = config.get("temperature")
    _refuse(
        temperature is not None and not 0 <= temperature <= 2,
        f"Unable to submit request because it has a temperature value of {temperature} but the supported range is "
        "from 0 (inclusive) to 2 (inclusive).",
    )


def _check_functions(functions: list[dict[str, Any]]) -> None:
    for number, function in enumerate(functions):
        name = str(function.get("name", ""))
        place = f"tools[0].function_declarations[{number}]"
        _refuse(
            not _NAME.match(name),
            f"Invalid function name. Must start with a letter or an underscore: {place}.name",
        )
        _refuse(
            "parameters" in function and "parametersJsonSchema" in function,
            f"Only one of parameters and parameters_json_schema may be set at '{place}'.",
        )
        if "parameters" in function:
            _check_schema(function["parameters"], f"{place}.parameters")


def _check_schema(schema: Any, place: str) -> None:
    """Refuse what is JSON Schema but not in the protocol's own subset of it."""
    if not isinstance(schema, dict):
        return
    for key, inner in schema.items():
        _refuse(
            key not in _SCHEMA_KEYS,
            f"Invalid JSON payload received. Unknown name \"{key}\" at '{place}': Cannot find field.",
        )
        if key == "properties":
            for name, part in inner.items():
                _check_schema(part, f"{place}.properties[{name}].value")
        elif key == "items":
            _check_schema(inner, f"{place}.items")
        elif key in {"anyOf", "any_of"}:
            for number, part in enumerate(inner):
                _check_schema(part, f"{place}.any_of[{number}]")
    _refuse(
        isinstance(schema.get("type"), list),
        f"Invalid value at '{place}.type' (TYPE_ENUM): Proto field is not repeating, cannot start list.",
    )


def _check_call_turns(contents: list[dict[str, Any]]) -> None:
    owed = 0
    for content in contents:
        given = sum("functionResponse" in part for part in content["parts"])
        _refuse(
            given != owed and bool(given or owed),
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn.",
        )
        owed = (
            sum("functionCall" in part for part in content["parts"]) if content.get("role") == "model" else 0
        )


def _check_seals(contents: list[dict[str, Any]]) -> None:
    for content in contents:
        for part in content["parts"]:
            sealed = part.get("thoughtSignature")
            if sealed is None or sealed in _PASSES:
                continue
            signed = str(part["functionCall"].get("name")) if "functionCall" in part else SIGNED_TEXT
            _refuse(not is_intact(str(sealed), "gemini", signed), "Corrupted thought signature.")


def _demand_seals(contents: list[dict[str, Any]]) -> None:
    """Demand the signature of the first call of each step since the user last spoke."""
    spoken = [
        number
        for number, content in enumerate(contents)
        if content.get("role", "user") == "user" and any("text" in part for part in content["parts"])
    ]
    for number in range(spoken[-1] if spoken else 0, len(contents)):
        calls = [part for part in contents[number]["parts"] if "functionCall" in part]
        _refuse(
            bool(calls) and "thoughtSignature" not in calls[0],
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
            f"function call `default_api:{calls[0]['functionCall'].get('name') if calls else ''}` , position "
            f"{number + 1}.",
        )


def _refuse(is_wrong: bool, message: str) -> None:  # noqa: FBT001
    if is_wrong:
        raise BadRequest(message)
