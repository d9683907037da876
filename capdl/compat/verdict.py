# SPDX-License-Identifier: BSD-2-Clause
"""The reference tool's verdict on a text, step by step as it comes to it."""

from ..diagnostics import Diagnostics, Place, Source
from .dump import DumpGrammar, is_dump
from .grammar import Grammar, GrammarError
from .model import Model
from .validity import check_validity


def judge(source: Source) -> Diagnostics:
    """What the reference tool has against a text; no error: it accepts it (and prints it: some texts fail only there).

    As there, the first departure from the grammar ends it."""
    diagnostics = Diagnostics()
    try:
        module = (DumpGrammar if is_dump(source.text) else Grammar)(source).module()
    except GrammarError as error:
        diagnostics.error(Place(source, error.offset), str(error), "syntax")
        return diagnostics
    model = Model(module, diagnostics)
    model.build()
    check_validity(model, diagnostics)
    return diagnostics
