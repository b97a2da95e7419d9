"""Which of ten languages is a word of? Hugging Face's Trainer distils into a tiny BERT, letter by letter.

The words and their teacher are those of ../words; the loss is a Trainer's `compute_loss`, and a callback reports.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers

import thermowell

sys.path.insert(0, str(Path(__file__).parent.with_name("words")))
from words import LANGUAGES, LONGEST, letters, parts, teacher_logits, words

ROWS = 1500  # words that are trained on


class Distiller(transformers.Trainer):
    """Trains by Hinton's loss at the trial's temperature."""

    settings: thermowell.Configuration

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """The loss of a batch."""
        teacher, t = inputs.pop("teacher"), self.settings.temperature
        outputs = model(**inputs)
        soft = torch.nn.functional.kl_div(
            (outputs.logits / t).log_softmax(-1), (teacher / t).log_softmax(-1), reduction="batchmean", log_target=True
        )
        loss = self.settings.kd_weight * t * t * soft + self.settings.label_weight * outputs.loss
        return (loss, outputs) if return_outputs else loss


def main() -> None:
    """Trains every trial that there is."""
    chosen, labels = words()
    train, validation, test = parts(len(chosen))
    rows = letters(chosen)
    logits = teacher_logits(rows, labels, train)

    def part(numbers: Any) -> list[dict[str, Any]]:
        return [
            {"input_ids": rows[n], "attention_mask": (rows[n] > 0).long(), "labels": labels[n], "teacher": logits[n]}
            for n in numbers.tolist()
        ]

    data = part(train[:ROWS]), part(validation[:500]), part(test)
    for trial in thermowell.trials(job=Path(__file__).with_name("job.yaml")):
        with trial, tempfile.TemporaryDirectory() as folder:
            trainer = distiller(trial, int(rows.max()) + 1, data, folder)
            trainer.train()
            part_of_test = (
                trainer.evaluate(data[2], metric_key_prefix="test") if trial.test and not trial.stopped else {}
            )
            trial.complete(test={"accuracy": part_of_test["test_accuracy"]} if part_of_test else None)


def distiller(trial: thermowell.Trial, symbols: int, data: Any, folder: str) -> Distiller:
    """The Trainer of one trial."""
    transformers.set_seed(trial.seed)
    student = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=symbols, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=LONGEST, num_labels=len(LANGUAGES),
        )
    )  # fmt: skip
    arguments = transformers.TrainingArguments(
        output_dir=folder, num_train_epochs=trial.epochs, learning_rate=trial.configuration.learning_rate,
        per_device_train_batch_size=32, per_device_eval_batch_size=500, seed=trial.seed, eval_strategy="epoch",
        save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, label_names=["labels"],
        remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Distiller(
        student, arguments, train_dataset=data[0], eval_dataset=data[1],
        callbacks=[thermowell.huggingface.Callback(trial)],
        compute_metrics=lambda scores: {"accuracy": float((scores.predictions.argmax(-1) == scores.label_ids).mean())},
    )  # fmt: skip
    trainer.settings = trial.configuration
    return trainer


if __name__ == "__main__":
    main()
