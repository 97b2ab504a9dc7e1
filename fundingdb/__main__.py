"""`python -m fundingdb` is `fundingdb`."""

import sys

from fundingdb.cli import main

sys.exit(main())
