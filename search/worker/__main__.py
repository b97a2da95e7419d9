"""`python -m search.worker`: one worker, until it is asked to stop."""

import faulthandler
import sys

from search.worker.process import main

faulthandler.enable()  # a worker that crashes in native code says where, on stderr: nobody else can
sys.exit(main())
