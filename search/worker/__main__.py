"""`python -m search.worker`: one worker, until it is asked to stop."""

import faulthandler
import sys

from search.settings import let_threads_sleep


def run() -> int:
    """Runs the worker; torch is imported after the environment that it reads then."""
    let_threads_sleep()
    from search.worker.process import main

    return main()


faulthandler.enable()  # a worker that crashes in native code says where, on stderr: nobody else can
sys.exit(run())
