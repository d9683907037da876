# SPDX-License-Identifier: BSD-2-Clause
"""Support for editors: a language server (server.py), and a grammar for highlighting (capdl.tmLanguage.json).

What the server answers are pure functions of an Analysis, which is what the tool makes of the files as they stand in the editor, and of an offset.
"""
