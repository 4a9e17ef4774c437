"""``python -m framecache``: files into a cache and out of it, a look, a scheduler."""

import sys

from ._cli import main

sys.exit(main())
