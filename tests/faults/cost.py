"""What serving costs the gateways: processor, memory, and what they write into their logs."""

from __future__ import annotations

from dataclasses import dataclass

from bench.machine import cpu_ns, pss_kb, tree
from tests.live.product import LiveProduct


@dataclass(frozen=True)
class Cost:
    """Of so many requests; memory is that of the end."""

    requests: int
    cpu_ns: int
    memory_kb: int
    log_bytes: int

    @property
    def cpu_ms(self) -> float:
        """Return milliseconds of a processor for each request."""
        return self.cpu_ns / 1e6 / self.requests

    @property
    def log_kb(self) -> float:
        """Return kB of log for each request."""
        return self.log_bytes / 1_000 / self.requests

    def __str__(self) -> str:
        return f"{self.cpu_ms:.2f} ms CPU and {self.log_kb:.3f} kB of log a request, {self.memory_kb} kB"


class Meter:
    """Counts from where it was last read."""

    def __init__(self, product: LiveProduct) -> None:
        self._product = product
        self._pids = set().union(*(tree(gateway.pid) for gateway in product.gateways))
        self._cpu_ns = self._requests = 0
        self.read(0)

    def read(self, requests: int) -> Cost:
        """Return what it cost since last time, now that there were so many requests in all."""
        cpu, log = cpu_ns(self._pids), self._product.new_log_lines()
        cost = Cost(
            max(requests - self._requests, 1), cpu - self._cpu_ns, pss_kb(self._pids), len(log.encode())
        )
        self._cpu_ns, self._requests = cpu, requests
        return cost
