"""What a password must not be beside what Django refuses: words of this product with little around them."""

from __future__ import annotations

import re

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

# Whoever guesses at accounts of this site begins with them; docs/asvs.md lists them, too.
WORDS = (
    "fastanchor", "anchor", "anthropic", "apikey", "chatgpt", "claude", "deepseek", "gateway", "gemini", "openai", "playground",
)  # fmt: skip
# As many characters as any password has, without these words.
LEAST_AROUND = 8
_WORDS = re.compile("|".join(WORDS))


class WordsOfOurs:
    """Refuses a password of which too little is left without the product's own words."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raise ``ValidationError`` for such a password."""
        left, count = _WORDS.subn("", re.sub(r"[\s_-]", "", password.lower()))
        if count and len(left) < LEAST_AROUND:
            message = "This password is made of words that belong to this site. Add others."
            raise ValidationError(message, code="words_of_ours")

    def get_help_text(self) -> str:
        """Return what Django shows beside the field of a password."""
        return "A password may not be made of words that belong to this site."
