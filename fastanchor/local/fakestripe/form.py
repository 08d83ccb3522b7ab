"""Forms with brackets: ``metadata[order]=7&expand[]=customer`` as a tree of texts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

Tree = dict[str, Any]


def parse(text: str) -> Tree:
    """Return the tree of a form or a query; lists are trees with numbers for names."""
    tree: Tree = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _place(tree, _steps(name), value)
    return tree


def _steps(name: str) -> list[str]:
    first, *rest = name.split("[")
    return [first, *(step.rstrip("]") for step in rest)]


def _place(tree: Tree, steps: list[str], value: str) -> None:
    for step, following in pairwise(steps):
        inner = tree.setdefault(step or str(len(tree)), {})
        # A list of objects without numbers: a name seen before begins the next object.
        if not step and following and tree:
            inner = _current(tree, inner, following)
        if not isinstance(inner, dict):
            inner = tree[step] = {}
        tree = inner
    last = steps[-1]
    tree[last or str(len(tree))] = value


def _current(tree: Tree, fresh: Tree, following: str) -> Tree:
    """Return the object of an unnumbered list that a field belongs to."""
    number = str(len(tree) - 1)
    before = tree.get(str(len(tree) - 2))
    if isinstance(before, dict) and following not in before:
        del tree[number]
        return before
    return fresh
