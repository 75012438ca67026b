"""``python -m gitstore_cli``: the command line where its script is not on PATH."""

import sys

from gitstore_cli.main import main

sys.exit(main())
