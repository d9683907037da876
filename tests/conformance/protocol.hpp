// SPDX-License-Identifier: BSD-2-Clause
// What the driver and the component that it makes for each test agree on: places in the component's address space and CSpace, the head of the
// component's image, and the page through which the driver tells what there is and the component tells what came out.
#pragma once

#include "caprock/abi.hpp"
#include "capdl/loader/text.hpp"

namespace caprock::conformance {

inline constexpr uint64_t page_bytes = 4096;
inline constexpr uint64_t large_page_bytes = uint64_t{1} << 21;
/// Bits of a capability address: the depth of every slot of a root CNode.
inline constexpr uint64_t address_bits = 64;

// -- Address space. The image's code and constants are one large page, which all components share; component.ld has the same addresses.
inline constexpr uint64_t image_address = 0x40'0000;
inline constexpr uint64_t data_address = 0x60'0000;
/// Where the shared page is mapped, behind the data.
inline constexpr uint64_t shared_address = 0x7f'f000;
/// 2 MiB that have a page table, for a test's mappings.
inline constexpr uint64_t small_window = 0x1000'0000;

// -- CSpace: the slots of a root task for what a root task has too, then these.
inline constexpr unsigned cnode_radix = 12;
enum class Slot : uint64_t {
    SharedFrame = static_cast<uint64_t>(abi::InitSlot::BootInfoFrame),
    SchedControl = static_cast<uint64_t>(abi::InitSlot::FirstDynamic),
    Memory,       // an untyped of 2^memory_bits bytes
    Spare,        // an untyped of 2^spare_bits bytes, on machines that have so much memory
    Device,       // a device untyped of 2^device_bits bytes
    Uart,         // the frame of the console's registers
    Image,        // the frame of code and constants
    Ended,        // a notification: signalled when the test is over
    Faults,       // an endpoint: a fault that is sent there fails the test
    DataFrames = 64,   // the frames of the data, ascending by address
    FirstFree = 320,
};
inline constexpr unsigned most_data_frames = static_cast<unsigned>(Slot::FirstFree) - static_cast<unsigned>(Slot::DataFrames);
inline constexpr unsigned memory_bits = 24;
inline constexpr unsigned spare_bits = 30;
inline constexpr unsigned device_bits = 13;

// -- Threads of the component
inline constexpr uint8_t worker_priority = 100;
inline constexpr uint64_t worker_budget = 10'000;   // microseconds, round robin
inline constexpr uint64_t sched_context_bits = 8;

/// A test, in the image's constants.
struct TestCase {
    const char* file;         // test_SUITE.cc
    const char* identifier;
    const char* description;
    void (*run)();
};

/// The first bytes of the image, at image_address; component.ld makes it. Addresses are the component's.
struct ImageHeader {
    uint64_t entry;
    const TestCase* const* cases;
    const TestCase* const* cases_end;
    uint64_t data_end;         // of all that is zero at first too
    uint64_t thread_memory;    // of the first thread: its IPC buffer, then its stack
    uint64_t thread_stack_top;
};

enum class Verdict : uint64_t { Running, Passed, Failed, Skipped };

/// The page that driver and component share while a test runs.
struct SharedPage {
    // Told by the driver.
    abi::RootPlatform platform;
    const TestCase* test;
    uint64_t started;          // counter at the first instruction of the driver
    uint64_t data_frames;
    uint64_t has_spare;
    uint64_t device_address;   // physical address of the device untyped
    uint64_t uart_address;     // physical address of its frame

    // Told by the component.
    Verdict verdict;
    loader::Text reason;       // of a failure or a skip
    loader::Text notes;        // lines for the report that say nothing about the verdict
};
static_assert(sizeof(SharedPage) <= page_bytes);

}  // namespace caprock::conformance
