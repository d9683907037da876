// SPDX-License-Identifier: BSD-2-Clause
// A component that writes to its own constants.

int main()
{
    const char* text = "constant";
    *const_cast<volatile char*>(text) = 'C';
    return 0;
}
