"""A training script for the oldest Python, with the standard library alone: by hand, in a trial's folder, and against a
service. Its first argument is the folder of the package.
"""

import sys

sys.path.insert(0, sys.argv[1])

import thermowell

for trial in thermowell.trials(queue="q", epochs=2):
    with trial:
        for epoch in trial.left():
            if trial.report(epoch, accuracy=trial.configuration.kd_weight / 2, resume=trial.checkpoint / str(epoch)):
                break
        trial.log("seed", trial.seed)
        if not trial.ended and "artifact" in sys.argv[2:]:
            trial.artifact(b"weights", "student.bin")
        trial.complete(test={"accuracy": 0.5} if trial.test else None)
    print(f"{sys.version_info[0]}.{sys.version_info[1]}: {trial.stage} {trial.stopped}")
    if trial.stopped:
        break


def objective(trial):
    return {"accuracy": 0.25}


if "optimize" in sys.argv[2:]:
    thermowell.optimize(objective, epochs=1)
