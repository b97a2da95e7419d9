"""`python -m search.worker`: one worker, until it is asked to stop."""

import faulthandler
import gc
import sys

from search.settings import let_threads_sleep


def run() -> int:
    """Runs the worker; torch is imported after the environment that it reads then.

    What is imported stays as long as the process: looking through it for garbage took a fifth of its start, and again
    of every search for garbage later.
    """
    let_threads_sleep()
    gc.disable()
    from search.worker.process import main

    gc.freeze()
    gc.enable()
    return main()


faulthandler.enable()  # a worker that crashes in native code says where, on stderr: nobody else can
sys.exit(run())
