// SPDX-License-Identifier: BSD-2-Clause
// A program outside the tree: says hello, makes an endpoint, and ends with the status that its tests expect.
#include <caprock/root.h>
#include <sel4/sel4.h>

// Initialised and zero variables, one of each kind of storage.
static int answer = 42;
static int nothing[1000];
static __thread int of_the_thread = 7;

static seL4_Error make_endpoint(const seL4_BootInfo *info)
{
    seL4_Error error = seL4_NotEnoughMemory;
    for (seL4_CPtr untyped = info->untyped.start; error != seL4_NoError && untyped < info->untyped.end; ++untyped)
        error = seL4_Untyped_Retype(untyped, seL4_EndpointObject, 0, seL4_CapInitThreadCNode, 0, 0, info->empty.start, 1);
    return error;
}

int main(void)
{
    size_t size = 0;
    const char *archive = (const char *)caprock_root_archive(&size);
    caprock_root_print("hello from a root task\n");
    for (size_t i = 0; i < size; ++i)
        caprock_root_put_char(archive[i]);
    if (nothing[999] != 0 || of_the_thread != 7 || make_endpoint(seL4_GetBootInfo()) != seL4_NoError)
        return 1;
#ifdef CONFIG_PRINTING
    seL4_DebugPutString("on the debug kernel\n");
#endif
    return answer;
}
