// SPDX-License-Identifier: BSD-2-Clause
// Collects deviations and prints them.
#include "capdl/loader/deviations.hpp"

#include "capdl/loader/console.hpp"

namespace caprock::loader {
namespace {

const char* kind_name(abi::CapType kind) {
    switch (kind) {
        case abi::CapType::Null: return "nothing";
        case abi::CapType::Untyped: return "Untyped";
        case abi::CapType::Endpoint: return "Endpoint";
        case abi::CapType::Notification: return "Notification";
        case abi::CapType::Reply: return "Reply";
        case abi::CapType::CNode: return "CNode";
        case abi::CapType::TCB: return "TCB";
        case abi::CapType::SchedContext: return "SchedContext";
        case abi::CapType::SchedControl: return "SchedControl";
        case abi::CapType::VSpace: return "VSpace";
        case abi::CapType::PageTable: return "PageTable";
        case abi::CapType::Frame: return "Frame";
        case abi::CapType::ASIDControl: return "ASIDControl";
        case abi::CapType::ASIDPool: return "ASIDPool";
        case abi::CapType::IRQControl: return "IRQControl";
        case abi::CapType::IRQHandler: return "IRQHandler";
        case abi::CapType::Domain: return "Domain";
        case abi::CapType::Inspect: return "Inspect";
        case abi::CapType::SGISignal: return "SGISignal";
        case abi::CapType::Zombie: return "Zombie";
    }
    return "something unknown";
}

/// The object of the tables with this identity, in words.
const char* name_of_identity(uint64_t identity) {
    if (identity == 0) return "nothing";
    for (size_t i = 0; i < buffers.identities.size; ++i)
        if (buffers.identities[i] == identity) return system.object_names[i];
    return "something else";
}

}  // namespace

Text& Deviations::add() {
    Text& text = texts_[count_ < room ? count_ : room];
    ++count_;
    text = Text{} << name_;
    if (word_ != nullptr) text << " " << word_ << " " << Hex{number_};
    return text << ": ";
}

void Deviations::compare(const char* what, uint64_t found, uint64_t expected) {
    if (found != expected) add() << what << " is " << Hex{found} << ", not " << Hex{expected};
}

void Deviations::compare_objects(const char* what, uint64_t identity, uint32_t expected) {
    const uint64_t wanted = expected == none ? 0 : buffers.identities[expected];
    if (identity != wanted) add() << what << " is " << name_of_identity(identity) << ", not " << name_of_identity(wanted);
}

void Deviations::compare_kinds(abi::CapType found, abi::CapType expected) {
    if (found != expected) add() << "is " << kind_name(found) << ", not " << kind_name(expected);
}

void Deviations::finish() const {
    if (count_ == 0) return;
    Console console(the_loader());
    if (console.open()) {
        for (size_t i = 0; i < count_ && i < room; ++i) {
            console.write(Text() << "\ncaprock: deviation: ");
            console.write(texts_[i]);
        }
        console.close();
    }
    halt(Text() << "the system differs from its description in " << uint64_t{count_} << " places" << (count_ > room ? ", not all of them shown" : ""));
}

}  // namespace caprock::loader
