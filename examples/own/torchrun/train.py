"""Digits, learned by two processes that average their gradients: one `report` on each, and all stop at the same epoch.

thermowell agent JOB -- torchrun --standalone --nproc-per-node 2 train.py
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import thermowell

TEACHER_STEPS = 60


def main() -> None:
    """Trains the trial, a half of each batch on each rank."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(7))
    train, validation, test = order[:1000], order[1000:1400], order[1400:]
    soft = teacher_logits(images, labels, train)
    for trial in thermowell.trials(job="job.yaml"):
        with trial:
            torch.manual_seed(trial.seed)  # the same weights and the same order on each rank
            student = DistributedDataParallel(nn.Linear(64, 10))
            optimizer = torch.optim.Adam(student.parameters(), lr=trial.configuration.learning_rate)
            for epoch in trial.left():
                for batch in train[torch.randperm(len(train))].split(50 * size):
                    part = batch[rank::size]
                    loss = kd_loss(student(images[part]), soft[part], labels[part], trial.configuration)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                stop = trial.report(epoch, accuracy=accuracy(student.module, images, labels, validation))
                print(f"rank {rank}: epoch {epoch}, {'stop' if stop else 'go on'}", flush=True)
                if stop:
                    break
            trial.complete(test={"accuracy": accuracy(student.module, images, labels, test)} if trial.test else None)
    dist.destroy_process_group()


def teacher_logits(images: Tensor, labels: Tensor, train: Tensor) -> Tensor:
    """The logits of a wider network, which each rank trains to the same weights."""
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(teacher.parameters(), lr=0.01)
    for _ in range(TEACHER_STEPS):
        loss = nn.functional.cross_entropy(teacher(images[train]), labels[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher(images).detach()


def kd_loss(student: Tensor, teacher: Tensor, labels: Tensor, settings: thermowell.Configuration) -> Tensor:
    """Hinton's loss: soft labels at T, weighed by T squared, beside the labels."""
    t = settings.temperature
    soft = nn.functional.kl_div(
        (student / t).log_softmax(-1), (teacher / t).log_softmax(-1), reduction="batchmean", log_target=True
    )
    return settings.kd_weight * t * t * soft + settings.label_weight * nn.functional.cross_entropy(student, labels)


@torch.no_grad()
def accuracy(student: nn.Module, images: Tensor, labels: Tensor, part: Tensor) -> float:
    """The share of digits that it knows."""
    return float((student(images[part]).argmax(-1) == labels[part]).float().mean())


if __name__ == "__main__":
    main()
