// SPDX-License-Identifier: BSD-2-Clause
// Frames that stand in the loader's image already, with all their content: they are given away as they are, without a copy.
#include "capdl/loader/maintenance.hpp"
#include "capdl/loader/windows.hpp"

namespace caprock::loader {
namespace {

// The first page for frames (link.ld).
extern "C" const uint8_t image_pages[];

void take(const Loader& loader, const PageFrame& page) {
    const uint32_t slot = image_slot(loader, reinterpret_cast<uint64_t>(image_pages) + page.page * page_bytes);
    const char* name = loader.name_of(page.frame);
    const Cap<Frame> frame{slot};
    check(frame.unmap(), [name](Text& text) { text << "unmapping the page of the loader's image that becomes " << name; });
    maintain_caches(frame, page_bytes, page.executable, page.uncached, name);
    buffers.object_slots[page.frame] = slot;
}

}  // namespace

void take_page_frames(const Loader& loader) {
    for (const PageFrame& page : system.page_frames) take(loader, page);
}

}  // namespace caprock::loader
