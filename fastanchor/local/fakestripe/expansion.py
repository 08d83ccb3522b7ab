"""``expand[]``: ids replaced by the objects that they name."""

from __future__ import annotations

import copy
from collections.abc import Callable

from fastanchor.local.fakestripe.charges import expanded_refunds
from fastanchor.local.fakestripe.checkout import expanded_line_items
from fastanchor.local.fakestripe.customers import expanded_tax_ids
from fastanchor.local.fakestripe.errors import invalid
from fastanchor.local.fakestripe.lists import listed
from fastanchor.local.fakestripe.world import Obj, World

# Fields that are there only when they are asked for.
_INCLUDED: dict[tuple[str, str], Callable[[World, Obj], Obj]] = {
    ("charge", "refunds"): expanded_refunds,
    ("checkout.session", "line_items"): expanded_line_items,
    ("customer", "tax_ids"): expanded_tax_ids,
    ("customer", "sources"): lambda _, customer: listed([], f"/v1/customers/{customer['id']}/sources"),
    ("customer", "subscriptions"): lambda _, customer: listed(
        [], f"/v1/customers/{customer['id']}/subscriptions"
    ),
}
_DEEPEST = 4


def expanded(world: World, answer: Obj, paths: list[str]) -> Obj:
    """Return an answer with the wanted fields expanded; what the world keeps stays as it is."""
    shown = copy.deepcopy(answer)
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEEPEST:
            message = f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}"
            raise invalid(message, code="property_expansion_max_depth")
        _expand(world, shown, steps, path)
    return shown


def _expand(world: World, node: Obj, steps: list[str], path: str) -> None:
    name, *rest = steps
    if name != "data" or not isinstance(node.get("data"), list):
        _fill(world, node, name, path)
    for each in node[name] if isinstance(node[name], list) else [node[name]]:
        if rest and isinstance(each, dict):
            _expand(world, each, rest, path)


def _fill(world: World, node: Obj, name: str, path: str) -> None:
    """Put the object into the place of its id, or the list into its empty place; raises ``StripeError``."""
    include = _INCLUDED.get((node.get("object", ""), name))
    if include is not None and not isinstance(node.get(name), dict):
        node[name] = copy.deepcopy(include(world, node))
    found = world.find(node[name]) if isinstance(node.get(name), str) else None
    if name not in node or (isinstance(node[name], str) and found is None):
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    if found is not None:
        node[name] = copy.deepcopy(found)
