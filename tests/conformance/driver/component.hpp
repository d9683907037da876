// SPDX-License-Identifier: BSD-2-Clause
// The component in which one test runs: made of the arena from nothing, and taken apart without a rest.
#pragma once

#include "tests/conformance/driver/authority.hpp"
#include "tests/conformance/driver/console.hpp"

namespace caprock::conformance {

/// The components' image, which is embedded in the driver.
class Image {
public:
    /// Copies code and constants to the frame that all components share. Must be called first, once.
    void load();

    const ImageHeader& header() const { return *at<ImageHeader>(image_address); }
    /// What the component sees at `address`, which lies in its code or constants.
    template <class T> const T* at(uint64_t address) const { return reinterpret_cast<const T*>(bytes() + (address - image_address)); }
    template <class T> const T* at(const T* pointer) const { return at<T>(reinterpret_cast<uint64_t>(pointer)); }
    Cap<Frame> frame() const { return frame_; }
    uint64_t data_frames() const { return (header().data_end - data_address + page_bytes - 1) / page_bytes; }

private:
    static const uint8_t* bytes();

    Cap<Frame> frame_;
};

/// One component at a time: make(), run until it reports or is given up, destroy().
class Component {
public:
    /// \param ended   what the component signals at the end of the test
    /// \param faults  where its faults go
    Component(const Image& image, Cap<Notification> ended, Cap<Endpoint> faults);

    /// Makes the component for `test`, an address in the image, and lets its thread run below the caller.
    void make(const TestCase* test);
    /// What the component has told. Only between make() and destroy().
    const SharedPage& shared() const { return *reinterpret_cast<const SharedPage*>(shared_window); }
    /// Takes everything back. Null, or what was left over or could not be taken back.
    const char* destroy();

private:
    // The driver's slots for one component.
    static constexpr uint64_t slot_count = 16;

    template <class T> Cap<T> make_object(abi::ObjectType type, uint64_t bits = 0);
    void give(Slot slot, CapRef cap, abi::CapRights rights = all_rights);
    void give(abi::InitSlot slot, CapRef cap) { give(static_cast<Slot>(slot), cap); }
    void move(Slot slot, CapRef cap);
    void make_space();
    void make_data();
    void make_shared_page(const TestCase* test);
    void make_thread();
    void give_authority();
    const char* take_back_control();
    const char* reset_schedule();

    const Image& image_;
    Cap<Notification> ended_;
    Cap<Endpoint> faults_;
    uint64_t first_slot_;
    uint64_t first_data_slot_;
    uint64_t next_slot_ = 0;
    Cap<CNode> cnode_{};
    Cap<VSpace> vspace_{};
    Cap<Frame> uart_;
    uint64_t uart_address_;
};

}  // namespace caprock::conformance
