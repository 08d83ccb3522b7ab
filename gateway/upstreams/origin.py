"""Where an upstream is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a base URL points: scheme, host, port, and the path in front of every target."""

    is_tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, base_url: str) -> Origin:
        """Take a base URL such as ``https://api.openai.com/v1`` apart."""
        parts = urlsplit(base_url)
        is_tls = parts.scheme == "https"
        return cls(
            is_tls, parts.hostname or "", parts.port or (443 if is_tls else 80), parts.path.rstrip("/")
        )

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the usual one, brackets around IPv6."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.is_tls else 80
        return host if self.port == usual else f"{host}:{self.port}"
