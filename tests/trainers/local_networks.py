"""Tiny networks of transformers, as a script that knows nothing of this project configures and trains them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from trainers.data import datasets
from trainers.spec import Data


def configuration(name: str) -> Any:
    """Of a tiny network."""
    if name == "vit":
        return transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8,
            patch_size=4, num_channels=1, num_labels=10, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
        )  # fmt: skip
    if name == "resnet":
        return transformers.ResNetConfig(
            num_channels=1, embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=10
        )
    return transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3,
        max_position_embeddings=16, pad_token_id=0,
    )  # fmt: skip


def trained_on_digits(name: str, prepare: Callable[[Tensor], Tensor], steps: int) -> Any:
    """A classifier of 8x8 pictures after so many steps on 300 digits; `prepare` takes pixels of 0..255 [n, C, H, W]."""
    torch.manual_seed(0)
    network = transformers.AutoModelForImageClassification.from_config(configuration(name)).train()
    split = datasets.load(Data("digits", train_size=300), Path())
    images, labels = prepare(split.train.images), split.train.labels
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(steps):
        numbers = torch.arange(step * 50, step * 50 + 50) % len(labels)
        optimizer.zero_grad()
        network(images[numbers], labels=labels[numbers]).loss.backward()
        optimizer.step()
    return network.eval()
