"""`python tests/reproductions`."""

import signal
import sys

from run import main

signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
sys.exit(main())
