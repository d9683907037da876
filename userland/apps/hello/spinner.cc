// SPDX-License-Identifier: BSD-2-Clause
// A component that loops past its budget.

int main()
{
    for (;;)
        __asm__ volatile("");
}
