// SPDX-License-Identifier: BSD-2-Clause
// The native SDK's stubs, which libsel4's are made of. C++ programs may include libsel4 inside extern "C", where the SDK's C++ cannot be.
#pragma once

#ifdef __cplusplus
extern "C++" {
#endif
#include <caprock/abi.h>
#include <caprock/objects.h>
#include <caprock/syscall.h>
#ifdef __cplusplus
}
#endif
