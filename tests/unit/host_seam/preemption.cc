// SPDX-License-Identifier: BSD-2-Clause
#include "preemption.hpp"

#include "ipc/message.hpp"

#include <cstring>
#include <sstream>

namespace caprock::test {

namespace {

Snapshot::Piece piece(const char* kind, const void* start, std::size_t bytes) {
    const unsigned char* first = static_cast<const unsigned char*>(start);
    return {kind, {first, first + bytes}};
}

void forget(Snapshot::Piece& piece, std::size_t offset, std::size_t bytes) { std::memset(piece.bytes.data() + offset, 0, bytes); }

// x0 to x18 are the result of the last system call, or dead.
void forget_result(Snapshot::Piece& thread) { forget(thread, offsetof(Context, x), 19 * sizeof(Word)); }

}  // namespace

Snapshot take_snapshot(const World& world) {
    Snapshot snapshot;
    for (const Live& live : world.live()) {
        Snapshot::Piece& taken = snapshot.pieces[reinterpret_cast<Word>(live.start)];
        taken = piece(live.kind, live.start, live.bytes);
        if (live.start == world.root().object) forget_result(taken);
    }
    const Kernel& kernel = world.kernel();
    auto add = [&](const char* kind, const auto& part) {
        snapshot.pieces[reinterpret_cast<Word>(&part)] = piece(kind, &part, sizeof(part));
    };
    add("core", kernel.cores[0]);
    add("table of ASID pools", kernel.asid_pools);
    add("table of interrupts", kernel.irq_issued);
    add("start of the domains' schedule", kernel.domain_start);
    return snapshot;
}

std::string difference(const Snapshot& expected, const Snapshot& found) {
    std::ostringstream out;
    Word memory = arch::to_kernel(PhysAddr(host::ram_start)).raw;
    for (const auto& [address, piece] : expected.pieces) {
        auto other = found.pieces.find(address);
        if (other == found.pieces.end()) {
            out << "the " << piece.kind << " at memory offset " << address - memory << " is missing";
            return out.str();
        }
        if (piece == other->second) continue;
        std::size_t at = 0;
        while (at < piece.bytes.size() && at < other->second.bytes.size() && piece.bytes[at] == other->second.bytes[at]) ++at;
        out << "the " << piece.kind << " at memory offset " << address - memory << " differs from byte " << at << " on";
        return out.str();
    }
    for (const auto& [address, piece] : found.pieces) {
        if (expected.pieces.contains(address)) continue;
        out << "a " << piece.kind << " is left over at memory offset " << address - memory;
        return out.str();
    }
    return {};
}

std::string Preemption::name() const {
    if (always) return "preempted at every point";
    if (second == 0) return "preempted at point " + std::to_string(first);
    return "preempted at point " + std::to_string(first) + " and " + std::to_string(second) + " behind it";
}

}  // namespace caprock::test
