"""Environments of the peers, one for each below .cache, made when it is first needed,
which shares the installed torch and all else that this project has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"
PACKAGES = {
    "torchdistill": ("torchdistill",),
    "mdistiller": ("yacs", "tqdm", "tensorboardX"),
    "repdistiller": (),
    "synetune": ("syne-tune",),
    "smac": ("smac[pyrfr]",),
    # its newest release is not at the newest jax; what its `algorithms` adds is for others than its service's default
    "vizier": (
        *("google-vizier[jax]>=0.1.24", "jax==0.5.3", "jaxlib==0.5.3", "flax==0.10.4", "equinox==0.11.7"),
        *("chex==0.1.89", "optax==0.2.4"),
    ),
}
BUILD_TOOLS = {"smac": ("swig", "setuptools", "wheel")}
"""What a peer's packages are built with where pip does not fetch it by itself; then it builds in the environment."""
CHECKOUTS = {"mdistiller": "MDISTILLER", "repdistiller": "REPDISTILLER"}


class PeerMissing(Exception):
    """The peer could not be had; the message says why."""


def checkout(peer: str) -> str | None:
    """The folder that the environment names for a peer that is not on PyPI; None where it names none."""
    given = os.environ.get(CHECKOUTS[peer])
    if given and not Path(given).is_dir():
        raise PeerMissing(f"{CHECKOUTS[peer]}={given} is not a folder")
    return given or None


def python(peer: str) -> str:
    """The Python of the peer's environment. Raises PeerMissing where its packages cannot be installed."""
    place = CACHE / peer
    interpreter, done = place / "bin" / "python", place / "installed"
    if done.is_file():
        return str(interpreter)
    print(f"Installing what {peer} needs into {place} (torch is shared)", file=sys.stderr)
    venv.create(place, with_pip=True, clear=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # packages of the peer's own environment come first; pip sees both, and so does not install torch again
    shared = place / "lib" / version / "site-packages" / "shared.pth"
    shared.write_text(sysconfig.get_paths()["purelib"] + "\n")
    path = os.pathsep.join([str(interpreter.parent), os.environ.get("PATH", os.defpath)])
    tools = BUILD_TOOLS.get(peer, ())
    for packages in (tools, PACKAGES[peer]):
        if packages:
            beside = ["--no-build-isolation"] if tools else []
            command = [str(interpreter), "-m", "pip", "install", "-q", *beside, *packages]
            installed = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
            if installed.returncode != 0:
                raise PeerMissing(f"pip could not install {', '.join(packages)}: {installed.stderr[-500:]}")
    done.touch()
    return str(interpreter)
