"""A plugin of Thermowell: words by their letters, and a small GRU and a small transformer over them."""

from thermowell_text.models import gru, transformer
from thermowell_text.words import languages

__all__ = ["gru", "languages", "transformer"]
