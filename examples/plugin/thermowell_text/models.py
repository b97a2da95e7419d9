"""The models, of plain products: what torch fuses into one call (nn.GRU) a bank of students could not stack."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thermowell import plugin

_WIDTH = plugin.Parameter("int", 32, 8, 512, "numbers in an embedding, and in a state", stride=8)


class Gru(nn.Module):
    """A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) over the letters; its last state is classified."""

    def __init__(self, vocabulary: int, classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.of_input = nn.Linear(width, 3 * width)
        self.of_state = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        inputs = self.of_input(self.embedding(tokens))
        state = torch.zeros_like(inputs[:, 0, : inputs.shape[-1] // 3])
        for place in range(tokens.shape[1]):
            reset_in, update_in, new_in = inputs[:, place].chunk(3, -1)
            reset_state, update_state, new_state = self.of_state(state).chunk(3, -1)
            update = torch.sigmoid(update_in + update_state)
            new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_state) * new_state)
            state = update * state + (1 - update) * new
        return self.head(state)


class Transformer(nn.Module):
    """Pre-norm blocks (Xiong et al. 2020, arXiv:2002.04745) ; the mean of the letters is classified."""

    def __init__(self, length: int, vocabulary: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.embedding(tokens) + self.positions
        for block in self.blocks:
            states = block(states)
        return self.head(self.norm(states).mean(1))


class Block(nn.Module):
    """Attention over all letters with heads of 8 numbers, then two layers for each letter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 8
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, states: Tensor) -> Tensor:
        parts = self.mix(self.before(states)).unflatten(-1, (3, self.heads, 8)).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        shares = (query @ key.transpose(-1, -2) / 8**0.5).softmax(-1)
        states = states + self.joined((shares @ value).transpose(1, 2).flatten(-2))
        return states + self.narrow(F.gelu(self.wide(self.after(states))))


@plugin.model("text/gru", arguments={"width": _WIDTH}, summary="A small GRU over tokens.")
def gru(shape: tuple[int, ...], classes: int, *, vocabulary: int, width: int) -> nn.Module:
    """From tokens [n, length] to logits [n, classes]."""
    return Gru(vocabulary, classes, width)


@plugin.model(
    "text/transformer",
    arguments={"width": _WIDTH, "depth": plugin.Parameter("int", 2, 1, 12, "blocks")},
    summary="A small transformer over tokens.",
)
def transformer(shape: tuple[int, ...], classes: int, *, vocabulary: int, width: int, depth: int) -> nn.Module:
    """From tokens [n, length] to logits [n, classes]."""
    return Transformer(shape[0], vocabulary, classes, width, depth)
