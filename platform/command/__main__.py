# SPDX-License-Identifier: BSD-2-Clause
"""Entry of ./caprock."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:]))
