# SPDX-License-Identifier: BSD-2-Clause
"""The two ways in which the command fails, and what it says on the way. Everything else that escapes a verb is a defect of the command."""

import sys


class Finding(Exception):
    """Something is wrong with the machine, a file or a system: one line that names cause and remedy; exit status 1."""

    status = 1


class Usage(Finding):
    """The command was called wrongly: unknown verb or option, a file that is not there, options that exclude each other; exit status 2."""

    status = 2


def say(text: str) -> None:
    """Tells the user what the command does, on standard error: standard output belongs to the system that runs."""
    print(f"caprock: {text}", file=sys.stderr, flush=True)


def in_one_line(function, *arguments, **options):
    """Calls one of the boot helpers; its errors, which are one line each, become findings."""
    import fetch
    import images
    import machines

    try:
        return function(*arguments, **options)
    except (fetch.FetchError, images.ImageError, machines.MachineError) as error:
        raise Finding(str(error)) from error
