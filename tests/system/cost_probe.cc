// SPDX-License-Identifier: BSD-2-Clause
// Measures the loader's steps by the virtual counter, prints what each took, and halts instead of going on. Linked around the loader with --wrap.
#include "capdl/loader/console.hpp"
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

struct Cost {
    const char* step;
    uint64_t ticks;
};

Cost costs[8];
size_t cost_count = 0;

uint64_t now() {
    uint64_t ticks;
    asm volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

template <class Step>
void measure(const char* name, Step step) {
    const uint64_t start = now();
    step();
    costs[cost_count++] = {name, now() - start};
}

}  // namespace

#define WRAP(length, name, parameter, Type)                                                  \
    extern "C" void __real__ZN7caprock6loader##length##name##parameter(Type& loader);        \
    extern "C" void __wrap__ZN7caprock6loader##length##name##parameter(Type& loader) {       \
        measure(#name, [&] { __real__ZN7caprock6loader##length##name##parameter(loader); }); \
    }

WRAP(14, create_objects, ERNS0_6LoaderE, Loader)
WRAP(11, fill_frames, ERNS0_6LoaderE, Loader)
WRAP(16, take_page_frames, ERKNS0_6LoaderE, const Loader)
WRAP(10, map_memory, ERNS0_6LoaderE, Loader)
WRAP(14, verify_objects, ERKNS0_6LoaderE, const Loader)
WRAP(20, install_capabilities, ERNS0_6LoaderE, Loader)

extern "C" void __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader);
extern "C" void __wrap__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader) {
    measure("verify_system", [&] { __real__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(loader); });
    Console console(the_loader());
    if (!console.open()) halt(Text() << "there is no console");
    for (size_t i = 0; i < cost_count; ++i) console.write(Text() << "cost " << costs[i].step << " " << costs[i].ticks << "\n");
    console.close();
    halt(Text() << "measured");
}

}  // namespace caprock::loader
