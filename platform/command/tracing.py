# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock trace`: what a system does with its time: who ran when and why, as figures to read, as data, or as a file for Perfetto (docs/trace.md)."""

import json
import sys

from . import systems, trace_compare, trace_figures, trace_names, trace_perfetto, trace_recording, trace_text, trace_timeline
from .errors import Finding, Usage, say


def trace(options) -> int:
    """Does what the options say and returns the system's own status; of a comparison with the specification, its result."""
    if options.via != "kernel" or options.debug:
        raise Usage("trace watches the production kernel, started directly (leave out --via and --debug)")
    figures = options.json or options.perfetto or options.duration is not None
    if options.compare or options.tests is not None:
        if figures:
            raise Usage("--compare and --tests compare the kernel with the specification and have no figures (leave out --json, --perfetto and --for)")
        return trace_compare.compare(options)
    if options.keep:
        raise Usage("--keep is for what the specification's oracle heard (give --compare with it)")
    if options.frequency:
        raise Usage("--frequency is for the comparison: a trace has the board's own counter (give --compare with it)")
    if options.perfetto and not options.perfetto.resolve().parent.is_dir():
        raise Usage(f"{options.perfetto.resolve().parent}: no such folder (make it first)")
    return _trace(options)


def _trace(options) -> int:
    """Runs the system, and prints its figures."""
    setting = systems.chosen_setting(options)
    systems.prepare(not options.no_install, more=(trace_recording.TARGET,))
    offline = options.no_install or None
    with systems.built(options.system, setting, offline=offline, settings=options.settings) as ready:
        recording = trace_recording.record(setting, ready, timeout=options.timeout, duration=options.duration, offline=offline)
        timeline = trace_timeline.read(recording.lines, trace_names.Names(ready.spec, recording.objects))
    if not timeline.runs:
        sys.stderr.write(recording.outcome.log)
        raise Finding(f"{options.system.name} ended before any of it ran: {recording.outcome.reason}")
    found = trace_figures.figures(timeline)
    if options.perfetto:
        trace_perfetto.write(timeline, options.perfetto)
        say(f"wrote {options.perfetto}")
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if options.json else trace_text.text(options.system.stem, found))
    if recording.outcome.status != 0:
        sys.stderr.write(recording.outcome.log)
        say(recording.outcome.reason)
    return recording.outcome.status
