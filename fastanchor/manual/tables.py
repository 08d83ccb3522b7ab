"""Tables of the documentation that are made from the code, as Markdown: ``<!-- table: errors -->``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastanchor.manual.remedies import REMEDIES, raised_by_anthropic, raised_by_openai
from gateway.api import api
from gateway.described_bodies import parameters
from gateway.errors import GatewayError
from gateway.formats import messages_errors


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def errors() -> str:
    """Write every code with its status, what it means and what to do."""
    rows = (
        (f"**{error.status}**", f"`{error.code}`", f"{remedy.meaning} {remedy.what_to_do}")
        for error, remedy in sorted(REMEDIES.items(), key=lambda pair: pair[0].status)
    )
    return _table(("Status", "`code`", "What it means, and what to do"), rows)


def exceptions() -> str:
    """Write what the SDKs make of each status, and whether they ask again by themselves."""
    statuses = sorted({error.status for error in REMEDIES})
    rows = ((str(status), *_exceptions_of(status)) for status in statuses)
    head = ("Status", "`openai` raises", "Under `/v1/messages`", "`anthropic` raises", "Asks again by itself")
    return _table(head, rows)


def _exceptions_of(status: int) -> tuple[str, ...]:
    theirs, body = messages_errors.refusal(_error_of(status), "")
    kind = body.decode().partition('"error":{"type":"')[2].partition('"')[0]
    is_retried = status in {408, 409, 429} or status >= 500
    return (
        f"`{raised_by_openai(status)}`",
        f"{theirs} `{kind}`",
        f"`{raised_by_anthropic(theirs)}`",
        "yes" if is_retried else "no",
    )


def _error_of(status: int) -> GatewayError:
    return next(error for error in REMEDIES if error.status == status)("")


def endpoints() -> str:
    """Write every path of ``/v1``."""
    paths = api.get_openapi_schema()["paths"]
    rows = (
        (f"`{method.upper()} {path}`", operation["summary"])
        for path, item in paths.items()
        for method, operation in item.items()
    )
    return _table(("Path", "What it does"), rows)


def body(path: str) -> str:
    """Write the parameters of a path's body."""
    rows = (
        (f"`{each.name}`", each.kind + (", required" if each.is_required else ""), each.about)
        for each in parameters(path)
    )
    return _table(("Parameter", "Type", "What it does"), rows)


def plans() -> str:
    """Write the limits of the plans; their numbers are the database's."""
    rows = [
        ("Free", "{{free_rpm}}", "{{free_tpm}}", "{{free_concurrency}}"),
        ("Pay-as-you-go", "{{payg_rpm}}", "{{payg_tpm}}", "{{payg_concurrency}}"),
        ("Enterprise", "custom", "custom", "custom"),
    ]
    return _table(("Plan", "Requests a minute", "Tokens a minute", "Requests at once"), rows)


TABLES: dict[str, Callable[..., str]] = {
    "body": body,
    "endpoints": endpoints,
    "errors": errors,
    "exceptions": exceptions,
    "plans": plans,
}
