"""Distillation of a forest into a linear model, on a table of numbers: scikit-learn alone, no torch.

The teacher's votes, softened at T, are the weights of the classes in the student's training rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

import thermowell

CLASSES = np.arange(10)


def main() -> None:
    """Trains every trial that there is."""
    rows, labels = load_digits(return_X_y=True)
    rows = rows / 16.0
    order = np.random.default_rng(7).permutation(len(rows))
    train, validation, test = order[:1000], order[1000:1400], order[1400:]
    forest = RandomForestClassifier(100, random_state=0).fit(rows[train], labels[train])
    logits = np.log(forest.predict_proba(rows[train]) + 1e-3)
    for trial in thermowell.trials(job=Path(__file__).with_name("job.yaml")):
        with trial:
            settings, generator = trial.configuration, np.random.default_rng(trial.seed)
            student = SGDClassifier(loss="log_loss", alpha=settings.alpha, random_state=trial.seed)
            weights = settings.kd_weight * softened(logits, settings.temperature)
            weights += settings.label_weight * np.eye(len(CLASSES))[labels[train]]
            for epoch in trial.left():
                places = generator.permutation(len(train) * len(CLASSES))
                row, target = np.divmod(places, len(CLASSES))
                weight = weights.ravel()[places]
                kept = weight > 0
                student.partial_fit(rows[train][row[kept]], target[kept], CLASSES, sample_weight=weight[kept])
                if trial.report(epoch, measured(student, rows[validation], labels[validation])):
                    break
            trial.complete(test=measured(student, rows[test], labels[test]) if trial.test else None)


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The classes' shares at a temperature."""
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


def measured(student: SGDClassifier, rows: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What is reported of a part of the data."""
    shares = np.clip(student.predict_proba(rows), 1e-6, 1)
    shares /= shares.sum(1, keepdims=True)
    return {"accuracy": student.score(rows, labels), "nll": log_loss(labels, shares, labels=CLASSES)}


if __name__ == "__main__":
    main()
