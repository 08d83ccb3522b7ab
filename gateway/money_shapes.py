"""What the OpenAPI document says of receipts, credit and keys."""

from __future__ import annotations

from ninja import Schema


class PriceShape(Schema):
    """The price version of a request, and which of its rates applied."""

    id: str
    valid_from: str | None
    currency: str
    above_input_tokens: int
    during: str
    rule: str


class LineShape(Schema):
    """So many tokens or units of one class times their rate."""

    kind: str
    unit: str
    count: int
    rate: str
    rate_pico_usd: int
    cost: str
    cost_pico_usd: int


class AdjustmentShape(Schema):
    """What stands between the lines and the cost."""

    reason: str
    cost: str
    cost_pico_usd: int


class AttemptShape(Schema):
    """One upstream call: whom it went to, what came, and after how long; no error code where it served."""

    model: str
    provider: str
    status: int | None
    error_code: str | None
    duration_ms: int


class Generation(Schema):
    """The receipt of one request: lines and adjustment add up to ``cost``, which rounded once is ``charged``."""

    id: str
    object: str
    model: str
    provider: str
    key_id: str
    price: PriceShape
    lines: list[LineShape]
    adjustment: AdjustmentShape | None
    cost: str
    cost_pico_usd: int
    charged: str
    charged_nano_usd: int
    hold: str
    hold_nano_usd: int
    total_cost: float
    is_charged: bool
    is_own_key: bool
    is_estimated: bool
    why: str
    outcome: str
    status: int
    finish_reason: str
    error_code: str | None
    is_stream: bool
    attempts: int
    attempts_made: list[AttemptShape]
    started_at: str
    first_token_ms: int | None
    finished_at: str
    duration_ms: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


class GenerationAnswer(Schema):
    """A receipt."""

    data: Generation


class Credits(Schema):
    """What an organization has; ``held`` is null while it cannot be told."""

    currency: str
    total: str
    total_nano_usd: int
    held: str | None
    held_nano_usd: int | None
    available: str
    available_nano_usd: int
    promotional: str
    promotional_nano_usd: int
    promotional_expires_at: str | None
    total_credits: float
    total_usage: float


class CreditAnswer(Schema):
    """The credit of an organization."""

    data: Credits


class Budget(Schema):
    """A budget, what is spent of it, what remains beside what running requests hold, and when it starts anew (UTC)."""

    limit: str | None
    limit_nano_usd: int | None
    spent: str
    spent_nano_usd: int
    remaining: str | None
    remaining_nano_usd: int | None
    resets_at: str | None


class Budgets(Schema):
    """The budgets of a key, a member or an organization; limit and remaining are null where there is none."""

    day: Budget
    week: Budget
    month: Budget
    lifetime: Budget


class Limits(Schema):
    """The limits that bind: the lower of the plan's and the key's own."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int


class Key(Schema):
    """An API key as it may know itself; no models, or no IP ranges, mean that all are allowed.

    ``expires_at`` is when the secret that asks ends: that of the key, or sooner for the old one of a rotated key.
    """

    id: str
    label: str
    organization_id: str
    plan: str
    is_free: bool
    expires_at: str | None
    allowed_models: list[str]
    allowed_ip_ranges: list[str]
    limits: Limits
    budgets: Budgets
    member_budgets: Budgets | None
    organization_budgets: Budgets
    held: str | None
    held_nano_usd: int | None
    usage: float
    usage_daily: float
    usage_weekly: float
    usage_monthly: float
    limit: float | None
    limit_remaining: float | None
    is_free_tier: bool


class KeyAnswer(Schema):
    """The key that asks."""

    data: Key
