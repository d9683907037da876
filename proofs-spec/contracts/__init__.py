# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of the machine code that ships: places in the kernel's image, what is assumed where they begin, and what holds where they end, proved for all
inputs by symbolic execution and z3.

`proving` proves one, `catalogue` lists them, `validation` compares the model of the instructions with QEMU; README.md says how one is written.
"""
