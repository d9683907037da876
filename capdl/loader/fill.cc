// SPDX-License-Identifier: BSD-2-Clause
// Writes the initial content of frames. The kernel zeroed them; each is mapped here for as long as it is written to.
#include "capdl/loader/maintenance.hpp"
#include "capdl/loader/windows.hpp"

namespace caprock::loader {
namespace {

class FrameFiller {
public:
    FrameFiller(const Loader& loader, uint32_t object)
        : name_(loader.name_of(object)),
          size_(uint64_t{1} << system.objects[object].size_bits),
          window_(fill_window(system.objects[object].size_bits)),
          frame_(loader.slot_of(object)) {
        check(frame_.map(window_, read_write, abi::VMAttributes::make(1, 0, 1), root_vspace),
              [this](Text& text) { text << "mapping " << name_ << " to fill it"; });
    }

    void fill(const Fill& fill, alloc::Slice<const uint8_t> device_tree) {
        uint8_t* target = reinterpret_cast<uint8_t*>(window_) + fill.offset;
        if (fill.source == FillSource::Embedded) {
            __builtin_memcpy(target, fill.bytes, fill.length);
        } else if (fill.tree_offset < device_tree.size) {
            const uint64_t left = device_tree.size - fill.tree_offset;
            __builtin_memcpy(target, device_tree.data + fill.tree_offset, fill.length < left ? fill.length : left);
        }
        executable_ |= fill.executable;
        uncached_ |= fill.uncached;
    }

    void finish() {
        maintain_caches(frame_, size_, executable_, uncached_, name_);
        check(frame_.unmap(), [this](Text& text) { text << "unmapping " << name_ << " after filling it"; });
    }

private:
    const char* name_;
    uint64_t size_;
    uint64_t window_;
    Cap<Frame> frame_;
    bool executable_ = false;
    bool uncached_ = false;
};

}  // namespace

void fill_frames(Loader& loader) {
    for (size_t i = 0; i < system.fills.size;) {
        const uint32_t frame = system.fills[i].frame;
        FrameFiller filler(loader, frame);
        for (; i < system.fills.size && system.fills[i].frame == frame; ++i) filler.fill(system.fills[i], loader.boot.device_tree);
        filler.finish();
    }
}

}  // namespace caprock::loader
