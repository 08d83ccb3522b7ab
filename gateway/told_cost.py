"""What a call cost, told inside its answer: ``cost`` and ``cost_nano_usd`` among what its ``usage`` says.

The cost is known only once the call is settled, so both are put into bytes that are written already. Where an answer
shows no usage, nothing is added. ``cost`` is in USD, a number with all nine places, and so always with a point: clients
that add up what they find must not meet an integer once and a fraction the other time.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from fastanchor.lib.money import NANOS_PER_USD, exact_usd

HEADER = "x-fa-cost-nano"

# No string of JSON can hold this: its quotes would be escaped. So it is the name of a field wherever it stands.
_USAGE = b'"usage":'
_THEIRS = b'"cost'
# The beginning of an object that is not empty, as those write it who indent.
_OPENING = re.compile(rb'\s{0,9}\{(?=\s{0,99}")')
_BACKSLASH = ord("\\")
_DATA = b"data: "
_BLANK = b"\n\n"
_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def in_answer(body: bytes, cost_nano: int) -> bytes:
    """Return a whole JSON answer that tells its cost."""
    at = body.find(_USAGE)
    if at < 0:
        return body
    return _spliced(body, at, cost_nano) or _rewritten(body, cost_nano)


def in_ending(last: bytes, cost_nano: int) -> bytes:
    """Return the bytes that end a stream, with the cost in the event that reports the usage."""
    at = last.find(_USAGE)
    if at < 0:
        return last
    # JSON holds no line end, so none of these can stand inside an event.
    return _spliced(last, at, cost_nano) or _BLANK.join(
        _event(event, cost_nano) for event in last.split(_BLANK)
    )


def _spliced(body: bytes, at: int, cost_nano: int) -> bytes | None:
    """Put the cost in front of what the only usage tells; ``None`` where it is not plain which or what that is."""
    start = at + len(_USAGE)
    told = body[start:]
    # Behind a backslash the name of the field is another; a cost may be one that an upstream tells.
    if _USAGE in told or _THEIRS in told or body[at - 1] == _BACKSLASH:
        return None
    if told[:2] == b'{"':
        rest = told[1:]
    elif opening := _OPENING.match(told):
        rest = told[opening.end() :]
    else:
        return None
    parts = (body[:start], cost_nano // NANOS_PER_USD, cost_nano % NANOS_PER_USD, cost_nano, rest)
    return b'%b{"cost":%d.%09d,"cost_nano_usd":%d,%b' % parts


def _event(event: bytes, cost_nano: int) -> bytes:
    before, data, told = event.rpartition(_DATA)
    if not told.startswith(b"{"):
        return event
    return before + data + _rewritten(told, cost_nano)


def _rewritten(body: bytes, cost_nano: int) -> bytes:
    """Write an object anew with the cost in its usage, or in that of the response that it tells."""
    fields = _OBJECT.decode(body)
    if bytes(fields.get("usage", b"")).startswith(b"{"):
        fields["usage"] = _with_cost(fields["usage"], cost_nano)
    elif bytes(fields.get("response", b"")).startswith(b"{"):
        fields["response"] = Raw(_rewritten(bytes(fields["response"]), cost_nano))
    return _ENCODER.encode(fields)


def _with_cost(usage: Raw, cost_nano: int) -> Raw:
    # What an upstream tells of its own bill is not the caller's.
    told = {name: value for name, value in _OBJECT.decode(usage).items() if not name.startswith("cost")}
    ours = {"cost": Raw(exact_usd(cost_nano).encode()), "cost_nano_usd": Raw(b"%d" % cost_nano)}
    return Raw(_ENCODER.encode(told | ours))
