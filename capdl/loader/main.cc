// SPDX-License-Identifier: BSD-2-Clause
// The loader's steps in order. start.S calls main with a stack and a thread-local block.
#include "capdl/loader/console.hpp"
#include "capdl/loader/dump.hpp"
#include "capdl/loader/report.hpp"
#include "capdl/loader/windows.hpp"

// Where the SDK's stubs find the IPC buffer.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;
}

namespace caprock::loader {
namespace {

Loader loader_state;

void take_boot_info(Loader& loader, const abi::RootBootInfo& info) {
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info.ipc_buffer);
    loader.boot = read_boot_info(info);
    loader.scratch_slot = info.empty.start;
    loader.console_slot = loader.scratch_slot + 1;
    loader.next_slot = loader.console_slot + console_slots;
}

/// Refuses a kernel of another build, and a payload whose header speaks of another system.
void check_platform(const Loader& loader) {
    const abi::RootPlatform* platform = loader.boot.platform;
    if (platform == nullptr) halt(Text() << "the kernel passed no platform description");
    if (platform->api_hash != abi::api_hash)
        halt(Text() << "the kernel's API is " << Hex{platform->api_hash} << ", but " << system.name << " was built for "
                    << Hex{abi::api_hash} << " (build kernel and system from one source)");
    for (size_t i = 0; i < sizeof platform->system_hash; ++i)
        if (platform->system_hash[i] != system.hash[i])
            halt(Text() << "the payload's header is not that of " << system.name << " (build the image again)");
}

/// Opens the console through the frame of the system, or of the loader, that holds its page. There is none when the system gave the
/// page away inside an untyped: then it is not the loader's to print on any more.
bool open_system_console(const Loader& loader, Console& console) {
    const uint64_t page = Console::page_address(loader);
    if (page == alloc::any_address) return false;
    for (uint32_t i = 0; i < system.objects.size; ++i) {
        const alloc::Object& object = system.objects[i];
        const uint64_t start = buffers.plan.addresses[i];
        if (buffers.object_slots[i] == 0 || page < start || page - start >= uint64_t{1} << object.size_bits) continue;
        if (object.type == abi::ObjectType::SmallPage || object.type == abi::ObjectType::LargePage)
            return console.open_frame(loader.slot_of(i), object.size_bits);
    }
    return false;
}

void announce(Loader& loader) {
    Console console(loader);
    if (!open_system_console(loader, console)) return;
    Text line;
    line << "caprock: loaded " << system.name << ": " << system.object_count << " objects, " << system.capability_count
         << " capabilities, hash ";
    console.write(line.hex_bytes(system.hash, 8) << "\n");
    if (system.says == Says::Verified)
        console.write(Text() << "caprock: verified " << system.name << ": " << uint64_t{system.object_names.size - 1} << " objects, "
                             << uint64_t{system.caps.size} << " slots, " << uint64_t{system.frame_mappings.size} << " pages, "
                             << uint64_t{system.threads.size} << " threads are as described, and there is nothing else\n");
    if (system.says == Says::Dump) dump_system(loader, console);
    console.close();
}

}  // namespace

Loader& the_loader() { return loader_state; }

extern "C" [[noreturn]] void loader_main(const abi::RootBootInfo* info) {
    Loader& loader = loader_state;
    take_boot_info(loader, *info);
    prepare_windows(loader);
    check_platform(loader);
    check_board(loader);
    create_objects(loader);
    fill_frames(loader);
    take_page_frames(loader);
    map_memory(loader);
    verify_objects(loader);
    install_capabilities(loader);
    configure_threads(loader);
    configure_domains();
    verify_system(loader);
    announce(loader);
    resume_threads(loader);
    begin_domains();
    release(loader);
}

}  // namespace caprock::loader
