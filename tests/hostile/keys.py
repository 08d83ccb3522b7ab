"""What callers write into ``Authorization`` and its like who have no key, or hope that we build SQL of it."""

from __future__ import annotations

import random
import string

_SEEDS = (
    b"'", b'"', b"' OR 1=1--", b"' OR '1'='1", b"'; DROP TABLE accounts_apikey; --", b"' UNION SELECT NULL--", b"%' AND 1=0--",
    b"\\", b"%", b"_", b"$1", b"{{7*7}}", b"${jndi:ldap://127.0.0.1/a}", b"../../etc/passwd", b"<script>", b"null", b"undefined",
    b"None", b"true", b"0", b"-1", b"[]", b"{}", b"*", b"(", b")", b"a,b", b"a b", b"Bearer", b"Bearer ", b"Bearer  ", b"bearer\t",
    b"Basic YTpi", b"Digest a", b"Token a", b"Bearer Bearer a", b"Bearer fa_live_", b"Bearer fa_test_" + b"0" * 36,
    b"Bearer fa_live_" + b"0" * 36, b"Bearer fa_live_" + b"z" * 36, b"Bearer sk-" + b"a" * 48, b"Bearer " + b"a" * 8_192,
    b"Bearer \xff\xfe", b"Bearer \xc3\xa9", b"Bearer " + "ключ".encode(), b"Bearer \xe2\x80\xa8", b"\xa0Bearer a",
    b"Bearer eyJhbGciOiJub25lIn0.e30.", b"AWS4-HMAC-SHA256 Credential=a", b"Bearer fa_live_%s", b"Bearer fa_live_{0}",
)  # fmt: skip
_PREFIXES = (b"", b"Bearer ", b"bearer ", b"BEARER ", b"Bearer fa_live_", b"Basic ")
_LETTERS = (string.ascii_letters + string.digits + string.punctuation + " \t").encode() + bytes(
    range(0x80, 0x100)
)


def credentials(count: int, draw: random.Random) -> list[bytes]:
    """Return so many values, the chosen ones first."""
    found = [*_SEEDS, *(prefix + seed for prefix in _PREFIXES for seed in _SEEDS[:30])]
    while len(found) < count:
        drawn = bytes(draw.choices(_LETTERS, k=draw.choice((1, 4, 36, 44, 200))))
        found.append(draw.choice(_PREFIXES) + drawn)
    return found[:count]
