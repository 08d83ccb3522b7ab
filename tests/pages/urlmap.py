"""The URL map as data: every address of the pages, with its name and what it is told in its path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

# Staff's pages have permissions of their own, and /v1 has keys; both are tested elsewhere.
_OTHER_WORLDS = ("admin/", "v1/", "v1", "chat/", "api/")


@dataclass(frozen=True, slots=True)
class Address:
    """One pattern: its full name and the names of its parameters."""

    name: str
    parameters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Route:
    """One pattern, named or not: its whole path, in which ``{name}`` stands for each parameter."""

    name: str
    template: str
    parameters: frozenset[str]


def routes() -> list[Route]:
    """Return every route of the product, those of staff and of /v1 too, in the order of the URL map."""
    return list(_routes(get_resolver(), "", "/", frozenset()))


def _routes(resolver: URLResolver, namespace: str, path: str, parameters: frozenset[str]) -> Iterator[Route]:
    for each in resolver.url_patterns:
        taken = parameters | each.pattern.converters.keys() | _groups(each)
        below = path + _template(str(each.pattern))
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _routes(each, inner, below, taken)
        else:
            yield Route(f"{namespace}{each.name or ''}", below, taken)


def _template(pattern: str) -> str:
    """Return a pattern as a format string: ``<int:pk>`` and ``(?P<pk>...)`` alike."""
    named = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern)
    named = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", named)
    return re.sub(r"[\^$\\]|\?(?=$)", "", named)


def addresses() -> list[Address]:
    """Return every named address of the pages, in the order of the URL map."""
    return list(_within(get_resolver(), "", "", frozenset()))


def _within(
    resolver: URLResolver, namespace: str, path: str, parameters: frozenset[str]
) -> Iterator[Address]:
    for each in resolver.url_patterns:
        below = f"{path}{each.pattern}"
        if below.startswith(_OTHER_WORLDS):
            continue
        taken = parameters | each.pattern.converters.keys() | _groups(each)
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _within(each, inner, below, taken)
        elif each.name:
            yield Address(f"{namespace}{each.name}", taken)


def _groups(each: URLPattern | URLResolver) -> frozenset[str]:
    """Return the named groups of a pattern that is a regular expression."""
    regex = getattr(each.pattern, "regex", None)
    return frozenset(regex.groupindex) if regex is not None else frozenset()
