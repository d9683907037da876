// SPDX-License-Identifier: BSD-2-Clause
// The archive as build systems of this ecosystem embed it: a section and two symbols.

        .section ._archive_cpio, "a"
        .balign 16
        .global _cpio_archive
_cpio_archive:
        .incbin ARCHIVE
        .global _cpio_archive_end
_cpio_archive_end:

        .section .note.GNU-stack, "", %progbits
