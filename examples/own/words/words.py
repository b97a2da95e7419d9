"""Words of ten languages from the package wordfreq, and their teacher, a GRU over letters."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn
from wordfreq import top_n_list

LANGUAGES = ("de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt", "sv")
FREQUENT = 1200  # words of a language that are looked at
LONGEST = 12  # letters
TEACHER_EPOCHS = 6


def words() -> tuple[list[str], Tensor]:
    """Words that belong to one of the languages alone, and the number of that language."""
    lists = [[word for word in top_n_list(name, FREQUENT) if word.isalpha()] for name in LANGUAGES]
    owners: dict[str, set[int]] = {}
    for language, frequent in enumerate(lists):
        for word in frequent:
            owners.setdefault(word, set()).add(language)
    chosen = sorted(word for word, numbers in owners.items() if len(numbers) == 1 and 3 <= len(word) <= LONGEST)
    return chosen, torch.tensor([next(iter(owners[word])) for word in chosen])


def parts(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which words train, validate and test: always the same ones."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(7))
    return order[: count * 6 // 10], order[count * 6 // 10 : count * 8 // 10], order[count * 8 // 10 :]


def letters(chosen: list[str]) -> Tensor:
    """Each word as the numbers of its letters, with zeros behind it."""
    alphabet = {letter: number for number, letter in enumerate(sorted(set("".join(chosen))), 1)}
    rows = [[alphabet[letter] for letter in word] + [0] * (LONGEST - len(word)) for word in chosen]
    return torch.tensor(rows)


def grams(chosen: list[str], buckets: int) -> Tensor:
    """Each word as the hashed numbers of its pieces of one to three letters, with zeros behind them."""

    def pieces(word: str) -> list[int]:
        text = f"<{word}>"
        spans = [text[start : start + size] for size in (1, 2, 3) for start in range(len(text) - size + 1)]
        return [1 + zlib.crc32(span.encode()) % (buckets - 1) for span in spans]

    rows = [torch.tensor(pieces(word)) for word in chosen]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


class Teacher(nn.Module):
    """A GRU over the letters of a word, in both directions."""

    def __init__(self, symbols: int, width: int = 48) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, len(LANGUAGES))

    def forward(self, rows: Tensor) -> Tensor:
        """The logits of words."""
        states, _ = self.gru(self.embedding(rows))
        return self.head(states.amax(1))


def teacher_logits(rows: Tensor, labels: Tensor, train: Tensor) -> Tensor:
    """The teacher's logits of all words; trained once, and then read from a file."""
    file = Path(tempfile.gettempdir()) / f"thermowell-words-{os.getuid()}-{len(rows)}-{TEACHER_EPOCHS}.pt"
    if file.exists():
        return torch.load(file, weights_only=True)
    torch.manual_seed(0)
    teacher = Teacher(int(rows.max()) + 1)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=4e-3)
    for _ in range(TEACHER_EPOCHS):
        for batch in train[torch.randperm(len(train))].split(64):
            loss = nn.functional.cross_entropy(teacher(rows[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = teacher(rows)
    draft = file.with_suffix(f".{os.getpid()}")
    torch.save(logits, draft)
    draft.replace(file)  # several trials may begin at once
    return logits
