"""`python -m search.proposer`."""

import sys

from search.proposer.process import main

sys.exit(main())
