"""The data set: frequent words of six languages, of wordfreq's lists, spelled without accents."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thermowell import plugin

LANGUAGES = {"de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LENGTH = 12
"""Of the longest word; shorter ones are filled with 0."""
WORDS = 1500
"""Of each language."""


@plugin.dataset(
    "text/languages",
    classes=len(LANGUAGES),
    class_names=tuple(LANGUAGES.values()),
    inputs="tokens",
    vocabulary=len(LETTERS) + 1,
    summary="1,500 frequent words of each of six languages, by their letters",
)
def languages(root: Path, part: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Words [n, LENGTH] as numbers of letters, 0 where there is none, and their languages [n]. No file is read."""
    by_language = [_words(language) for language in LANGUAGES]
    counts = Counter(word for words in by_language for word in words)
    rows, labels = list[list[int]](), list[int]()
    for label, words in enumerate(by_language):
        distinct = [word for word in words if counts[word] == 1][:WORDS]  # a word of two languages has no label
        rows += [[LETTERS.index(letter) + 1 for letter in word] for word in distinct]
        labels += [label] * len(distinct)
    tokens = np.zeros((len(rows), LENGTH), dtype=np.int64)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = row
    return tokens, np.array(labels)


def _words(language: str) -> list[str]:
    """Its frequent words of three letters or more, the most frequent first."""
    from wordfreq import top_n_list

    plain = (_spelled(word) for word in top_n_list(language, 6 * WORDS, wordlist="small"))
    fitting = (word for word in plain if 3 <= len(word) <= LENGTH and all(letter in LETTERS for letter in word))
    return list(dict.fromkeys(fitting))


def _spelled(word: str) -> str:
    """The word without accents, which would give its language away."""
    return "".join(letter for letter in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(letter))
