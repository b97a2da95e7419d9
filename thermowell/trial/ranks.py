"""Ranks of one distributed training: the first one speaks, and all others hear the same.

What it hears goes over torch.distributed where a process group is there; else over the store that torchrun keeps for
its ranks. torch is never imported by this: whoever has a process group has imported it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from thermowell.errors import ThermowellError

HANDOVER = "THERMOWELL_CLAIM"
"""Set by the first rank: processes that it starts itself, as Lightning does, train the same trial."""
STORE_TIMEOUT = timedelta(days=30)


class RankFailed(ThermowellError):
    """The rank that speaks could not do so; the others end with it."""


class Ranks:
    """The ranks as they are now: a process group may be made, and destroyed, at any time."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._store: Any = None
        self._count = 0

    @property
    def rank(self) -> int:
        """The number of this rank; 0 speaks."""
        group = _group()
        if group is not None:
            return int(group.get_rank())
        return int(self._environment.get("RANK") or self._local_rank() or 0)

    @property
    def size(self) -> int:
        """How many ranks there are."""
        group = _group()
        return int(group.get_world_size()) if group is not None else int(self._environment.get("WORLD_SIZE") or 1)

    @property
    def speaks(self) -> bool:
        """Whether this rank is the one that speaks."""
        return self.size == 1 or self.rank == 0

    @property
    def connected(self) -> bool:
        """Whether all ranks can hear the one that speaks."""
        return self.size == 1 or self._sender() is not None

    @property
    def started_by_rank(self) -> bool:
        """Whether the first rank has started this one in the middle of a trial, whose document it left."""
        return not self.speaks and "RANK" not in self._environment and HANDOVER in self._environment

    def share(self, speak: Callable[[], Any], follow: Callable[[], Any]) -> Any:
        """What `speak` answers on the first rank, on every rank; `follow` finds it out where ranks cannot speak.

        What goes wrong on the first rank is raised there, and as RankFailed on the others.
        """
        if self.size == 1:
            return speak()
        send = self._sender()
        if send is None:
            return speak() if self.rank == 0 else follow()
        if self.rank != 0:
            answer = send(None)
            if "error" in answer:
                raise RankFailed(f"rank 0 has ended: {answer['error']}")
            return answer["value"]
        try:
            answer = {"value": speak()}
        except BaseException as error:
            send({"error": f"{type(error).__name__}: {error}"})
            raise
        send(answer)
        return answer["value"]

    def _sender(self) -> Callable[[Any], Any] | None:
        """What brings a document from the first rank to this one; None where there is no way."""
        group = _group()
        if group is not None:
            return lambda document: _broadcast(group, document)
        if self._environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and "torch.distributed" in sys.modules:
            return self._through_store
        return None

    def _through_store(self, document: Any) -> Any:
        if self._store is None:
            distributed: Any = sys.modules["torch.distributed"]
            host, port = self._environment["MASTER_ADDR"], int(self._environment["MASTER_PORT"])
            attempt = self._environment.get("TORCHELASTIC_RESTART_COUNT", "0")
            store = distributed.TCPStore(host, port, self.size, is_master=False, timeout=STORE_TIMEOUT)
            self._store = distributed.PrefixStore(f"thermowell-{attempt}", store)
        self._count += 1
        if self.rank != 0:
            return json.loads(self._store.get(str(self._count)))
        self._store.set(str(self._count), json.dumps(document))
        return document

    def _local_rank(self) -> str | None:
        """Lightning numbers the processes that it starts on a node alone."""
        one_node = self._environment.get("NODE_RANK", "0") == "0"
        return self._environment.get("LOCAL_RANK") if one_node else None


def _group() -> Any:
    """torch.distributed, where this process has a process group."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed


def _broadcast(group: Any, document: Any) -> Any:
    box = [document]
    group.broadcast_object_list(box, src=0)
    return box[0]
