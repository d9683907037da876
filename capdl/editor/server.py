# SPDX-License-Identifier: BSD-2-Clause
"""The language server: messages of the Language Server Protocol on standard input and output, answered by the functions beside this module."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls import uris
from pygls.server import LanguageServer

from ..constants import Scope
from ..diagnostics import Diagnostics, Place, Source
from ..formatting import format_text
from ..parsing import parse
from .analysis import Analysis
from .completion import complete
from .definition import definition
from .hover import hover
from .outline import Symbol, outline
from .problems import Problem, problems
from .text import Lines

Answer = TypeVar("Answer")
# Seconds of quiet after which findings are worked out: nobody reads them while typing.
QUIET = 0.1
NAME = "caprock"
SEVERITIES = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}
SYMBOLS = {"component": lsp.SymbolKind.Class, "interface": lsp.SymbolKind.Interface, "method": lsp.SymbolKind.Method, "struct": lsp.SymbolKind.Struct,
           "object": lsp.SymbolKind.Object, "constant": lsp.SymbolKind.Constant, "capability": lsp.SymbolKind.Key, "emits": lsp.SymbolKind.Event,
           "consumes": lsp.SymbolKind.Event}
ITEMS = {"keyword": lsp.CompletionItemKind.Keyword, "parameter": lsp.CompletionItemKind.Property, "component": lsp.CompletionItemKind.Class,
         "interface": lsp.CompletionItemKind.Interface, "struct": lsp.CompletionItemKind.Struct, "constant": lsp.CompletionItemKind.Constant,
         "file": lsp.CompletionItemKind.File, "object": lsp.CompletionItemKind.Variable}


def path_of(uri: str) -> Path:
    """The file of a document; of one that has none yet, a name that no file has."""
    path = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path).resolve() if path else Path("/", uri.replace("/", "_").replace("\0", "_"))


class Server(LanguageServer):
    """Knows what the editor has open. board: devicetree.Board of the machine that is described, or None."""

    def __init__(self, board: Any = None, quiet: float = QUIET):
        super().__init__(NAME, "1", text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental)
        self.board = board
        self.quiet = quiet
        self.opened: dict[str, str] = {}              # text by URI
        self.analyses: dict[str, Analysis] = {}       # as the texts are now, by URI
        self.published: set[str] = set()              # URIs that have findings in the editor
        self.waiting: asyncio.TimerHandle | None = None

    # Documents --------------------------------------------------------------------------------------------------------------------------

    def set_text(self, uri: str, text: str | None) -> None:
        """A document has a text, or is closed."""
        if text is None:
            self.opened.pop(uri, None)
        else:
            self.opened[uri] = text
        self.files_changed()

    def files_changed(self) -> None:
        """Nothing is known of any document any more: each may include others."""
        self.analyses = {}
        if self.waiting is not None:
            self.waiting.cancel()
        self.waiting = self.loop.call_later(self.quiet, self.publish)

    def change(self, uri: str, changes: list[Any]) -> None:
        """Parts of a document, or all of it, are replaced."""
        text = self.opened.get(uri, "")
        for item in changes:
            where = getattr(item, "range", None)
            if where is None:
                text = item.text
            else:
                text = Lines(text).replace((where.start.line, where.start.character), (where.end.line, where.end.character), item.text)
        self.set_text(uri, text)

    def analysis(self, uri: str) -> Analysis | None:
        """Of an open document."""
        if uri not in self.opened:
            return None
        if uri not in self.analyses:
            self.analyses[uri] = Analysis(path_of(uri), {path_of(other): text for other, text in self.opened.items()}, self.board)
        return self.analyses[uri]

    # Findings ---------------------------------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Tell the findings of all open documents, and of files that have none any more."""
        self.waiting = None
        found: dict[str, dict[Problem, lsp.Diagnostic]] = defaultdict(dict)
        names = {path_of(uri): uri for uri in self.opened}
        for uri in self.opened:
            analysis = self.analysis(uri)
            found[uri]
            for problem in problems(analysis) if analysis is not None else ():
                found[names.get(problem.path) or uris.from_fs_path(str(problem.path)) or uri].setdefault(_key(problem), diagnostic(problem))
        for uri in sorted(self.published - found.keys()):
            self.publish_diagnostics(uri, [])
        for uri, diagnostics in found.items():
            self.publish_diagnostics(uri, diagnostics=list(diagnostics.values()))
        self.published = {uri for uri, diagnostics in found.items() if diagnostics}


def _key(problem: Problem) -> Any:
    """What makes two findings one: the same file may be included by several."""
    return problem.start, problem.code, problem.message, problem.severity


def span(lines: Lines, start: int, end: int) -> lsp.Range:
    """A range of a text."""
    return lsp.Range(lsp.Position(*lines.position(start)), lsp.Position(*lines.position(end)))


def diagnostic(problem: Problem) -> lsp.Diagnostic:
    """A finding in the protocol's words."""
    related = [lsp.DiagnosticRelatedInformation(location(place), message) for place, message in problem.related]
    message = problem.message if problem.suggestion is None else f"{problem.message}\n{problem.suggestion}"
    return lsp.Diagnostic(span(problem.lines, problem.start, problem.end), message, SEVERITIES[problem.severity], problem.code, source=NAME,
                          related_information=related or None)


def location(place: Place) -> lsp.Location:
    """A place in a file."""
    path = place.source.path
    at = span(Lines(place.source.text), place.offset, place.offset)
    return lsp.Location(uris.from_fs_path(str(path)) or "", at)


def symbol(item: Symbol, lines: Lines) -> lsp.DocumentSymbol:
    """A symbol, and those in it."""
    return lsp.DocumentSymbol(item.name, SYMBOLS.get(item.kind, lsp.SymbolKind.Property), span(lines, item.start, item.end),
                              span(lines, item.name_start, item.name_end), item.kind, children=[symbol(child, lines) for child in item.children])


def formatted(path: Path, text: str) -> str | None:
    """The text in its uniform shape; None while it has errors of syntax, as for `fmt`."""
    diagnostics = Diagnostics()
    parse(Source(str(path), text, path), diagnostics, scope=Scope(syntax_only=True))
    return format_text(text) if diagnostics.ok else None


def make_server(board: Any = None, quiet: float = QUIET) -> Server:
    """A server with all that it answers."""
    server = Server(board, quiet)

    def at(params: Any, answer: Callable[[Analysis, int], Answer]) -> Answer | None:
        """What is to be said of a position in a document."""
        analysis = server.analysis(params.text_document.uri)
        if analysis is None:
            return None
        return answer(analysis, Lines(analysis.source.text).offset(params.position.line, params.position.character))

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: lsp.DidOpenTextDocumentParams) -> None:
        server.set_text(params.text_document.uri, params.text_document.text)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: lsp.DidChangeTextDocumentParams) -> None:
        server.change(params.text_document.uri, params.content_changes)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: lsp.DidCloseTextDocumentParams) -> None:
        server.set_text(params.text_document.uri, None)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def did_save(_params: lsp.DidSaveTextDocumentParams) -> None:
        server.files_changed()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_files(_params: lsp.DidChangeWatchedFilesParams) -> None:
        server.files_changed()

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def show(params: lsp.HoverParams) -> lsp.Hover | None:
        def answer(analysis: Analysis, offset: int) -> lsp.Hover | None:
            found = hover(analysis, offset)
            return None if found is None else lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, found.text),
                                                        span(Lines(analysis.source.text), found.start, found.end))
        return at(params, answer)

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def define(params: lsp.DefinitionParams) -> lsp.Location | None:
        def answer(analysis: Analysis, offset: int) -> lsp.Location | None:
            found = definition(analysis, offset)
            return None if found is None or found[1].place.source.path is None else location(found[1].place)
        return at(params, answer)

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=[".", ":", ">", '"', "(", " "]))
    def propose(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        def answer(analysis: Analysis, offset: int) -> list[lsp.CompletionItem]:
            return [lsp.CompletionItem(item.label, kind=ITEMS.get(item.kind, lsp.CompletionItemKind.Field), detail=item.detail or None, insert_text=item.insert,
                                       sort_text=f"{number:05}") for number, item in enumerate(complete(analysis, offset))]
        return at(params, answer) or []

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        analysis = server.analysis(params.text_document.uri)
        return [] if analysis is None else [symbol(item, Lines(analysis.source.text)) for item in outline(analysis)]

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def format_document(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        text = server.opened.get(params.text_document.uri)
        new = None if text is None else formatted(path_of(params.text_document.uri), text)
        if text is None or new is None:
            return None
        return [] if new == text else [lsp.TextEdit(span(Lines(text), 0, len(text)), new)]

    return server
