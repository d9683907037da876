// SPDX-License-Identifier: BSD-2-Clause
// What a root task has besides its boot information, whatever its runtime: a console, a way to end the run with a status, and the archive that came
// with it. For C11 and C++11.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Prints a character: through the debug kernel, or else on the board's UART. The latter is mapped at the first use, with the last free slots of the
/// root CNode and the page after the extra boot information; a program that has a UART driver of its own prints by that.
/// @return 1, or 0 where there is no console, or its page is in use already
int caprock_root_put_char(char character);

/// Prints a string that ends in NUL, as caprock_root_put_char does.
int caprock_root_print(const char *text);

/// Ends the run with a status from 0 to 255: prints the line `caprock: exit N`, which `./caprock run --root` waits for, and stops.
__attribute__((noreturn)) void caprock_root_exit(int status);

/// The file that was given with `--with`, which lies behind the program's image.
/// @param size  receives its bytes
/// @return its first byte; null when there is none
const void *caprock_root_archive(size_t *size);

#ifdef __cplusplus
}
#endif
