# SPDX-License-Identifier: BSD-2-Clause
"""Whether the reference tool for capDL accepts a text: its grammar (grammar.py, dump.py) and what it checks (model.py, validity.py), without
what this tool asks for beyond it. A verdict, not a model: what a system means stands in the Spec that the rest of the package makes.

    diagnostics = verdict.judge(source)     # accepted exactly when diagnostics.ok
"""
