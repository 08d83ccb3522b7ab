"""Lists of the genai-prices package as two versions of it shipped them, a few models each.

The files are in the shape of the package's own data file; ``tests/staff/lists/genai-prices-VERSION.json``.
"""

from __future__ import annotations

import json
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import types

OLDER, CURRENT = "0.1.0", "0.2.3"
_FOLDER = Path(__file__).parent / "lists"
_CLAUSES: dict[str, Any] = {
    "equals": types.ClauseEquals,
    "starts_with": types.ClauseStartsWith,
    "contains": types.ClauseContains,
    "regex": types.ClauseRegex,
}


def recorded(version: str) -> list[types.Provider]:
    """Return what a version of the package said."""
    text = (_FOLDER / f"genai-prices-{version}.json").read_text(encoding="utf-8")
    return [
        types.Provider(
            id=each["id"],
            name=each["name"],
            api_pattern=each["api_pattern"],
            models=[_model(model) for model in each["models"]],
        )
        for each in json.loads(text, parse_float=Decimal)
    ]


def _model(row: dict[str, Any]) -> types.ModelInfo:
    prices = row["prices"]
    return types.ModelInfo(
        id=row["id"],
        match=_clause(row["match"]),
        name=row.get("name"),
        context_window=row.get("context_window"),
        prices=_rates(prices) if isinstance(prices, dict) else [_dated(each) for each in prices],
        deprecated=row.get("deprecated", False),
    )


def _clause(row: dict[str, Any]) -> Any:
    ((kind, what),) = row.items()
    if kind == "or":
        return types.ClauseOr(or_=[_clause(each) for each in what])
    return _CLAUSES[kind](**{kind: what})


def _dated(row: dict[str, Any]) -> types.ConditionalPrice:
    return types.ConditionalPrice(constraint=_constraint(row.get("constraint")), prices=_rates(row["prices"]))


def _constraint(row: dict[str, str] | None) -> Any:
    if row is None:
        return None
    if "start_date" in row:
        return types.StartDateConstraint(start_date=date.fromisoformat(row["start_date"]))
    return types.TimeOfDateConstraint(
        start_time=time.fromisoformat(row["start_time"]), end_time=time.fromisoformat(row["end_time"])
    )


def _rates(row: dict[str, Any]) -> types.ModelPrice:
    return types.ModelPrice(**{name: _rate(rate) for name, rate in row.items()})


def _rate(rate: Any) -> Any:
    if isinstance(rate, dict):
        tiers = [types.Tier(start=each["start"], price=_rate(each["price"])) for each in rate["tiers"]]
        return types.TieredPrices(base=_rate(rate["base"]), tiers=tiers)
    return Decimal(rate)
