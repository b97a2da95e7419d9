"""All processes of a command end with it, whoever ends first and whatever they do: with real processes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import Processes
from thermowell.agent import supervisor
from thermowell.agent.processes import Supervised

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who is orphaned can be adopted on Linux alone")
SLEEP = "exec sleep 600"
# Names itself in `pids/`, ignores SIGTERM, and has left its session and its parents.
GRANDCHILD = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
open(f"pids/{os.getpid()}", "w").close()
time.sleep(600)
"""


def begin(folder: Path, script: str, grace: float = 0.2, limit: int = 100_000) -> Supervised:
    (folder / "pids").mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    return Supervised(["sh", "-c", script], folder, environment, grace, folder / "log.txt", limit)


def wait(process: Supervised) -> int:
    assert process.ended(20.0)
    assert process.status is not None
    return process.status


def alive(pid: int) -> bool:
    return pid in supervisor.processes()


def eventually(condition: object, what: str) -> None:
    assert callable(condition)
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def grandchildren(folder: Path, count: int = 1) -> list[int]:
    eventually(lambda: len(list((folder / "pids").iterdir())) == count, "the grandchildren do not begin")
    return [int(path.name) for path in (folder / "pids").iterdir()]


def with_grandchild(folder: Path, then: str) -> str:
    (folder / "grandchild.py").write_text(GRANDCHILD)
    return f'"$PYTHON" grandchild.py; until [ -n "$(ls pids)" ]; do sleep 0.01; done; {then}'


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 75", 75), ("kill -9 $$", 137), ("exit 3", 3)])
def test_a_commands_status_is_its_own(tmp_path: Path, script: str, status: int) -> None:
    assert wait(begin(tmp_path, script)) == status


def test_a_command_that_is_not_there_says_so_in_its_log(tmp_path: Path) -> None:
    process = Supervised(["no-such-program"], tmp_path, {"PATH": "/bin"}, 1.0, tmp_path / "log.txt")
    assert wait(process) == supervisor.CANNOT_START
    assert "cannot start 'no-such-program'" in (tmp_path / "log.txt").read_text()


def test_what_is_left_behind_in_a_session_of_its_own_ends_with_the_command(tmp_path: Path) -> None:
    process = begin(tmp_path, with_grandchild(tmp_path, "exit 0"))
    [pid] = grandchildren(tmp_path)
    assert wait(process) == 0
    assert not alive(pid)


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    process = begin(tmp_path, "trap '' TERM; touch pids/1; while true; do sleep 0.05; done", grace=0.3)
    grandchildren(tmp_path)
    start = time.monotonic()
    process.end()
    assert wait(process) == 137
    assert 0.3 <= time.monotonic() - start < 10


def test_who_obeys_sigterm_has_its_grace(tmp_path: Path) -> None:
    script = "trap 'echo saved > saved; exit 75' TERM; touch pids/1; while true; do sleep 0.01; done"
    process = begin(tmp_path, script, grace=20.0)
    grandchildren(tmp_path)
    process.end()
    assert wait(process) == 75
    assert (tmp_path / "saved").exists()


def test_a_stopped_process_ends_too(tmp_path: Path) -> None:
    process = begin(tmp_path, "touch pids/1; kill -STOP $$; exit 0", grace=20.0)
    grandchildren(tmp_path)
    process.end()
    assert wait(process) == 128 + signal.SIGTERM


def test_all_end_when_the_agent_is_killed(tmp_path: Path, processes: Processes) -> None:
    script = with_grandchild(tmp_path, f"touch pids/$$; {SLEEP}")
    (tmp_path / "pids").mkdir()
    (tmp_path / "agent.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom thermowell.agent.processes import Supervised\n"
        f"process = Supervised(['sh', '-c', {script!r}], Path({str(tmp_path)!r}), dict(os.environ) | "
        f"{{'PYTHON': {sys.executable!r}}}, 0.2, Path('log.txt').absolute())\n"
        "while not process.ended(60): pass\n"
    )
    agent = processes.start(sys.executable, tmp_path / "agent.py", cwd=tmp_path)
    pids = grandchildren(tmp_path, 2)
    assert all(map(alive, pids))
    agent.signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)), "some outlive the agent")


def test_all_end_when_the_supervisor_is_killed(tmp_path: Path, processes: Processes) -> None:
    """The agent adopts what the supervisor had adopted."""
    script = with_grandchild(tmp_path, f"touch pids/$$; {SLEEP}")
    (tmp_path / "pids").mkdir()
    (tmp_path / "agent.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom thermowell.agent import processes\n"
        "processes.adopt_and_hide()\n"
        f"process = processes.Supervised(['sh', '-c', {script!r}], Path({str(tmp_path)!r}), dict(os.environ) | "
        f"{{'PYTHON': {sys.executable!r}}}, 0.2, Path('log.txt').absolute())\n"
        "Path('supervisor').write_text(str(process.pid))\n"
        "while not process.ended(60): pass\n"
        "print('status', process.status)\n"
    )
    agent = processes.start(sys.executable, tmp_path / "agent.py", cwd=tmp_path)
    pids = grandchildren(tmp_path, 2)
    os.kill(int((tmp_path / "supervisor").read_text()), signal.SIGKILL)
    assert agent.wait() == 0
    assert "status 9" in agent.output()
    assert not any(map(alive, pids))


@pytest.mark.parametrize("hidden", [True, False])
def test_the_agents_environment_is_closed_to_its_children(tmp_path: Path, hidden: bool) -> None:
    """As nobody, since root reads everything: who was root is closed until it says that it is not."""
    code = (
        "import os, subprocess\nfrom thermowell.agent import processes, supervisor\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "supervisor.control(processes.PR_SET_DUMPABLE, 1)\n"
        f"if {hidden}: processes.adopt_and_hide()\n"
        "subprocess.run(['cat', f'/proc/{os.getpid()}/environ'], env={'PATH': '/bin:/usr/bin'}, check=False)"
    )
    environment = {**os.environ, "THERMOWELL_KEY": "tw_secret"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=30)
    assert ("tw_secret" in done.stdout) is not hidden, done.stderr
    assert ("Permission denied" in done.stderr) is hidden


def test_a_log_has_its_newest_words_within_its_limit(tmp_path: Path) -> None:
    process = begin(tmp_path, "yes 'a line of a long log' | head -c 3000000; echo the end", limit=50_000)
    assert wait(process) == 0
    sizes = [path.stat().st_size for path in tmp_path.glob("log.*")]
    assert sum(sizes) <= 50_000
    assert (tmp_path / "log.txt").read_text().endswith("the end\n")


def test_a_log_that_cannot_be_written_stops_no_command(tmp_path: Path) -> None:
    (tmp_path / "log.txt").mkdir()
    assert wait(begin(tmp_path, "yes | head -c 1000000; exit 4")) == 4


def test_a_supervisor_whose_agent_is_gone_begins_nothing(tmp_path: Path) -> None:
    order = {"argv": ["touch", "begun"], "directory": str(tmp_path), "environment": {"PATH": "/bin:/usr/bin"}}
    order |= {"grace": 1.0, "log": str(tmp_path / "log.txt"), "log_limit": 1000, "parent": 1}
    command = [sys.executable, "-I", "-S", supervisor.__file__]
    done = subprocess.run(command, input=json.dumps(order) + "\n", text=True, check=False, timeout=20)
    assert done.returncode == supervisor.CANNOT_START
    assert not (tmp_path / "begun").exists()


def test_a_supervisor_needs_the_standard_library_alone(tmp_path: Path) -> None:
    source, sink = os.pipe()
    code = f"import runpy, sys; sys.argv = ['s']; runpy.run_path({supervisor.__file__!r}, run_name='s'); " + (
        "print([name for name in sys.modules if name.partition('.')[0] not in sys.stdlib_module_names "
        "and name not in ('__main__', 's')])"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], stdout=sink, check=True, cwd=tmp_path)
    os.close(sink)
    assert select.select([source], [], [], 0)[0]
    assert os.read(source, 1000) == b"[]\n"
    os.close(source)
