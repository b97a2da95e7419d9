"""The agent as a program: `python -m thermowell.agent`, which `thermowell agent` becomes."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from thermowell.agent import commands, inspection, processes
from thermowell.agent.door import Door
from thermowell.agent.pool import OWN, Home, Order, Pool
from thermowell.errors import AgentError, Refused, ThermowellError
from thermowell.plain import plain

DONE, USAGE, REFUSED, UNREACHABLE = 0, 2, 3, 4
DEFAULT_URL = "http://127.0.0.1:8000"
DESCRIPTION = """\
Train jobs' trials by commands, on this machine.

  thermowell agent JOB -- python train.py {config}     a job of yours, by a command of yours
  thermowell agent --commands FILE                     whatever jobs ask for, of the commands in an operator's file
  thermowell agent --check FILE                        what is wrong in such a file, and what each command would run

In a command line {config} is the trial's settings as a JSON file, and {seed}, {epochs}, {gpus}, {temperature} and each
parameter or argument by its name is its value, within the one element that it stands in; no shell reads it. The
program adds a line to $THERMOWELL_TRIAL/reports.jsonl for each epoch: {"epoch": 1, "metrics": {"accuracy": 0.8}}.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the agent until it is told to end, or its job has ended; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _parser()
    options, argv = parser.parse_args(arguments[:split]), arguments[split + 1 :]
    if options.check is not None:
        if options.job is not None or options.commands is not None or argv:
            parser.error("--check FILE stands alone: nothing is claimed or run")
        return _check(options.check)
    if (options.job is None) == (options.commands is None) or (options.job is None) != (not argv):
        parser.error("give a job and, after --, its command; or --commands FILE; or --check FILE")
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("thermowell.agent").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_plain)
    try:
        return _run(options, argv)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return REFUSED
    except AgentError as error:
        print(error, file=sys.stderr)
        return USAGE
    except ThermowellError as error:
        print(error, file=sys.stderr)
        return UNREACHABLE


def _check(file: Path) -> int:
    try:
        return inspection.check(file, os.environ, processes.inherited_gpus())
    except AgentError as error:
        print(error, file=sys.stderr)
        return USAGE


def _run(options: argparse.Namespace, argv: list[str]) -> int:
    order = _order(options, argv)
    processes.adopt_and_hide()
    home = Home(order.folder)
    door = Door(options.url, _key(options.key_file), home.client)
    pool = Pool(door, order, home)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: pool.stop())
    offered = ", ".join(order.commands) if order.job is None else f"job {order.job}"
    logging.getLogger("thermowell.agent").info("agent %s trains %s for %s", home.client, offered, door.url)
    try:
        pool.run()
    finally:
        door.close()
        home.close()
    return DONE


def _order(options: argparse.Namespace, argv: list[str]) -> Order:
    if options.job is not None:
        gpus = options.gpus_of_trial
        own_command = commands.OwnCommand(argv=argv, gpus=gpus, grace_seconds=options.grace, directory=Path.cwd())
        offers: dict[str, commands.Command] = {OWN: own_command}
    else:
        offers = commands.load(options.commands)
    needed = any(command.gpus for command in offers.values())
    ids = processes.inherited_gpus() if needed else None
    for name, command in offers.items():
        if ids is not None and command.gpus > len(ids):
            raise AgentError(f"{name} takes {command.gpus:g} GPUs, and this agent has {len(ids)}")
    return Order(offers, options.job, options.slots, options.folder, ids, options.exit_when_idle)


def _key(file: Path | None) -> str | None:
    """The key, from a file or THERMOWELL_KEY. AgentError."""
    if file is None:
        return os.environ.get("THERMOWELL_KEY") or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AgentError(f"cannot read the key from {file}: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermowell agent", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key_file, url = os.environ.get("THERMOWELL_KEY_FILE"), os.environ.get("THERMOWELL_URL") or DEFAULT_URL
    add = parser.add_argument
    add("job", nargs="?", metavar="JOB", help="id of the job to train; its command follows after --")
    add("--commands", type=Path, metavar="FILE", help="the operator's file of commands, YAML or JSON")
    add(
        "--check", type=Path, metavar="FILE", help="say what is wrong in such a file and what it would run; run nothing"
    )
    add("--slots", type=_positive, default=1, metavar="N", help="trials at once [1]")
    add(
        "--gpus-of-trial",
        type=float,
        default=0.0,
        metavar="G",
        help="GPUs of each trial of JOB; .5: two share one",
    )
    add("--grace", type=float, default=30.0, metavar="SECONDS", help="from SIGTERM to SIGKILL, for JOB's command [30]")
    add(
        "--folder",
        type=Path,
        default=cache / "thermowell" / "agent",
        help="for the files of trials [%(default)s]",
    )
    add("--exit-when-idle", action="store_true", help="end once every job of the commands has ended")
    add("--url", default=url, help="where the service is [env THERMOWELL_URL; %(default)s]")
    add("--key-file", type=Path, default=key_file, metavar="FILE", help="a file with an API key of scope train "
        "[env THERMOWELL_KEY_FILE; the key itself: THERMOWELL_KEY]")  # fmt: skip
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _plain(record: logging.LogRecord) -> bool:
    """Takes control characters out of what programs of others have said."""
    record.msg, record.args = plain(record.getMessage()), None
    return True


if __name__ == "__main__":
    sys.exit(main())
