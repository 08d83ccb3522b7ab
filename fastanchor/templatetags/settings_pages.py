"""What the templates of the settings need beside ``fa``."""

from __future__ import annotations

import json

from django import template
from django.core.serializers.json import DjangoJSONEncoder

register = template.Library()


@register.filter
def as_json(value: object) -> str:
    """Write a value as JSON, for an attribute that a script reads; the template escapes it."""
    return json.dumps(value, cls=DjangoJSONEncoder)
