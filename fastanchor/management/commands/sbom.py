"""What the product is made of, as CycloneDX: from the lock file, with the licenses of what is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]*?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Command(BaseCommand):
    """``manage.py sbom``."""

    help = "Print the software bill of materials as CycloneDX JSON."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Choose the lock file."""
        lock = Path(settings.BASE_DIR) / "requirements" / "base.txt"
        parser.add_argument("--lock", type=Path, default=lock, help="A lock file; base.txt when left out.")

    def handle(self, **options: Any) -> None:
        """Print it."""
        components = list(_components(options["lock"].read_text(encoding="utf-8")))
        self.stdout.write(json.dumps(_document(components), indent=1, sort_keys=True))


def _document(components: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "fastanchor", "bom-ref": "fastanchor"}},
        "components": components,
        "dependencies": [{"ref": "fastanchor", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] | None = None
    for line in lock.splitlines():
        if pinned := _PINNED.match(line):
            if found is not None:
                yield found
            found = _component(pinned[1], pinned[2])
        elif found is not None and (digest := _HASH.search(line)):
            found["hashes"].append({"alg": "SHA-256", "content": digest[1]})
    if found is not None:
        yield found


def _component(name: str, version: str) -> dict[str, Any]:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    purl = f"pkg:pypi/{normal}@{version}"
    component = {
        "type": "library", "name": normal, "version": version, "purl": purl, "bom-ref": purl, "hashes": [],
    }  # fmt: skip
    license_ = _license(name)
    return component | ({"licenses": [{"license": {"name": license_}}]} if license_ else {})


def _license(name: str) -> str:
    try:
        facts = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        # Locked for another system or Python.
        return ""
    # Old packages put the whole text there.
    named = [_first_line(facts, "License-Expression"), _first_line(facts, "License")]
    classified = [
        text.rpartition("::")[2].strip() for text in facts.get_all("Classifier") or [] if "License ::" in text
    ]
    return next((text for text in [named[0], *classified, named[1]] if text), "")[:100]


def _first_line(facts: metadata.PackageMetadata, field: str) -> str:
    return str(facts[field]).split("\n", 1)[0] if field in facts else ""
