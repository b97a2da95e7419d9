"""Runs of a method by the service of another checkout, a JSON object a line.

python -m benchmarks.searching.cost.elsewhere METHOD CONTEXT FIRST LAST, in a folder of benchmarks.common.checkouts
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence

from benchmarks.searching.cost import methods, played
from benchmarks.searching.cost.ground import open_ground


def main(arguments: Sequence[str]) -> int:
    """Prints runs FIRST to LAST - 1 as they come."""
    method, ground = methods.BY_NAME[arguments[0]], open_ground(arguments[1])
    warnings.simplefilter("ignore")
    for run in range(int(arguments[2]), int(arguments[3])):
        print(json.dumps(played.ours(ground, method, run)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
