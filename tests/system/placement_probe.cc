// SPDX-License-Identifier: BSD-2-Clause
// Prints where the loader placed things, instead of comparing the system: the untypeds that the kernel gave, the planned address of each object that
// was made of them, and of each frame the address that the kernel says it has. Linked around the loader with --wrap.
#include "capdl/loader/console.hpp"
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

constexpr size_t most_frames = 64;
uint64_t found[most_frames];

bool is_frame(uint32_t object) {
    const abi::ObjectType type = system.objects[object].type;
    return type == abi::ObjectType::SmallPage || type == abi::ObjectType::LargePage;
}

void print_untypeds(const Loader& loader, Console& console) {
    for (uint64_t i = 0; i < loader.boot.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = loader.boot.info->untyped_list[i];
        console.write(Text() << "untyped " << Hex{untyped.paddr} << " " << uint64_t{untyped.size_bits} << (untyped.is_device != 0 ? " device\n" : " memory\n"));
    }
}

void print_objects(const Loader& loader, Console& console, const Group& group) {
    for (uint32_t i = group.first; i < group.first + group.count; ++i) {
        console.write(Text() << "planned " << loader.name_of(i) << " " << Hex{buffers.plan.addresses[i]} << "\n");
        if (is_frame(i)) console.write(Text() << "found " << loader.name_of(i) << " " << Hex{found[i - group.first]} << "\n");
    }
}

extern "C" {
void __real__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(const Loader& loader);

void __wrap__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(const Loader& loader) { __real__ZN7caprock6loader14verify_objectsERKNS0_6LoaderE(loader); }

void __wrap__ZN7caprock6loader13verify_systemERKNS0_6LoaderE(const Loader& loader) {
    const Group& group = system.groups[0];
    if (group.count > most_frames) halt(Text() << "the test has room for " << most_frames << " objects");
    // Before the console takes the page of the system's driver.
    for (uint32_t i = group.first; i < group.first + group.count; ++i)
        if (is_frame(i)) found[i - group.first] = Cap<Frame>{loader.slot_of(i)}.get_address().value();
    Console console(the_loader());
    if (!console.open()) halt(Text() << "there is no console");
    print_untypeds(loader, console);
    print_objects(loader, console, group);
    console.close();
    halt(Text() << "printed");
}
}

}  // namespace
}  // namespace caprock::loader
