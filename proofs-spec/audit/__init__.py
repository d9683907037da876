# SPDX-License-Identifier: BSD-2-Clause
"""The audit of the kernel: each module works out one thing that an auditor asks, from the build, the proofs and the sources, and says what is wrong.

`sections` puts them together; `./caprock audit` prints them.
"""
