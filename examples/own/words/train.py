"""Which of ten languages is a word of? A GRU over letters teaches a bag of letter n-grams, at any temperature.

An ordinary PyTorch script: all that it knows of the service is `import thermowell` and what `trial` says.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from words import LANGUAGES, grams, letters, parts, teacher_logits, words

import thermowell

BUCKETS = 4096


def main() -> None:
    """Trains every trial that there is."""
    torch.set_num_threads(1)
    chosen, labels = words()
    train, validation, test = parts(len(chosen))
    bags, teacher = grams(chosen, BUCKETS), teacher_logits(letters(chosen), labels, train)
    for trial in thermowell.trials(job=Path(__file__).with_name("job.yaml")):
        with trial:
            torch.manual_seed(trial.seed)
            student = nn.EmbeddingBag(BUCKETS, len(LANGUAGES), mode="mean", padding_idx=0)
            optimizer = torch.optim.Adam(student.parameters(), lr=trial.configuration.learning_rate)
            for epoch in trial.left():
                for batch in train[torch.randperm(len(train))].split(trial.configuration.batch_size):
                    loss = kd_loss(student(bags[batch]), teacher[batch], labels[batch], trial.configuration)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                if trial.report(epoch, accuracy=accuracy(student, bags, labels, validation)):
                    break
            trial.complete(test={"accuracy": accuracy(student, bags, labels, test)} if trial.test else None)


def kd_loss(student: Tensor, teacher: Tensor, labels: Tensor, settings: thermowell.Configuration) -> Tensor:
    """Hinton's loss: soft labels at T, weighed by T squared, beside the labels."""
    t = settings.temperature
    soft = nn.functional.kl_div(
        (student / t).log_softmax(-1), (teacher / t).log_softmax(-1), reduction="batchmean", log_target=True
    )
    return settings.kd_weight * t * t * soft + settings.label_weight * nn.functional.cross_entropy(student, labels)


@torch.no_grad()
def accuracy(student: nn.Module, bags: Tensor, labels: Tensor, part: Tensor) -> float:
    """The share of words whose language it finds."""
    return float((student(bags[part]).argmax(-1) == labels[part]).float().mean())


if __name__ == "__main__":
    main()
