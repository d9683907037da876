// SPDX-License-Identifier: BSD-2-Clause
// capdl-plan: the loader's planner as a host program, by which the tool checks that a system fits a board.
//
// Standard input, one item a line; numbers decimal or 0x...:
//     untyped PADDR SIZE_BITS memory|device
//     object  TYPE SIZE_BITS PADDR|- NAME          (TYPE as in the API's ObjectType; SIZE_BITS is log2 of its bytes)
// Standard output:
//     retype  PIECE TYPE SIZE_BITS COUNT object|padding     (PIECE: untypeds in order of input, then paddings in order of output)
//     place   NAME PADDR
//     free    BYTES LARGEST_SIZE_BITS
// Status: 0 when all fits; 1 when it does not, with the reason on standard error; 2 for input that is not as above.
#include <array>
#include <charconv>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "capdl/alloc/plan.hpp"

namespace {

using namespace caprock;
using alloc::Slice;

struct TypeName {
    std::string_view name;
    abi::ObjectType type;
};

constexpr std::array type_names = {
    TypeName{"Untyped", abi::ObjectType::Untyped},     TypeName{"TCB", abi::ObjectType::TCB},
    TypeName{"Endpoint", abi::ObjectType::Endpoint},   TypeName{"Notification", abi::ObjectType::Notification},
    TypeName{"CNode", abi::ObjectType::CNode},         TypeName{"SchedContext", abi::ObjectType::SchedContext},
    TypeName{"Reply", abi::ObjectType::Reply},         TypeName{"HugePage", abi::ObjectType::HugePage},
    TypeName{"VSpace", abi::ObjectType::VSpace},       TypeName{"SmallPage", abi::ObjectType::SmallPage},
    TypeName{"LargePage", abi::ObjectType::LargePage}, TypeName{"PageTable", abi::ObjectType::PageTable},
};

struct System {
    std::vector<alloc::Untyped> untypeds;
    std::vector<alloc::Object> objects;
    std::vector<std::string> names;
};

bool parse_number(const std::string& text, uint64_t& value) {
    const bool hexadecimal = text.starts_with("0x");
    const char* begin = text.data() + (hexadecimal ? 2 : 0);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, value, hexadecimal ? 16 : 10);
    return error == std::errc{} && stop == end;
}

bool parse_size_bits(const std::string& text, uint8_t& bits) {
    uint64_t value = 0;
    if (!parse_number(text, value) || value < abi::min_untyped_bits || value > abi::max_untyped_bits) return false;
    bits = static_cast<uint8_t>(value);
    return true;
}

/// Each parse function returns what is wrong with the line, or nothing.
std::string parse_untyped(std::istringstream& words, System& system) {
    std::string paddr, bits, kind;
    alloc::Untyped untyped{};
    words >> paddr >> bits >> kind;
    if (!parse_number(paddr, untyped.paddr)) return "the address '" + paddr + "' is no number";
    if (!parse_size_bits(bits, untyped.size_bits)) return "the size '" + bits + "' is not in 4 to 47 bits";
    if (kind != "memory" && kind != "device") return "'" + kind + "' is neither memory nor device";
    if ((untyped.paddr & ((uint64_t{1} << untyped.size_bits) - 1)) != 0) return "the address " + paddr + " is no multiple of the size";
    untyped.is_device = kind == "device";
    system.untypeds.push_back(untyped);
    return {};
}

std::string parse_object(std::istringstream& words, System& system) {
    std::string type, bits, paddr, name;
    alloc::Object object{};
    words >> type >> bits >> paddr >> name;
    bool known = false;
    for (const TypeName& entry : type_names) {
        if (entry.name != type) continue;
        object.type = entry.type;
        known = true;
    }
    if (!known) return "'" + type + "' is no type of object";
    if (!parse_size_bits(bits, object.size_bits)) return "the size '" + bits + "' is not in 4 to 47 bits";
    object.paddr = alloc::any_address;
    if (paddr != "-" && !parse_number(paddr, object.paddr)) return "the address '" + paddr + "' is neither a number nor -";
    if (name.empty()) return "the object has no name";
    system.objects.push_back(object);
    system.names.push_back(name);
    return {};
}

/// Reads the whole input; says what is wrong on standard error.
bool read_system(std::istream& input, System& system) {
    std::string line;
    for (unsigned number = 1; std::getline(input, line); ++number) {
        std::istringstream words(line);
        std::string kind, rest, error;
        if (!(words >> kind)) continue;
        if (kind == "untyped")
            error = parse_untyped(words, system);
        else if (kind == "object")
            error = parse_object(words, system);
        else
            error = "'" + kind + "' is neither untyped nor object";
        if (error.empty() && words >> rest) error = "'" + rest + "' is more than the line takes";
        if (error.empty()) continue;
        std::cerr << "capdl-plan: line " << number << ": " << error << '\n';
        return false;
    }
    return true;
}

std::string size_text(uint64_t bytes) {
    if (bytes >= 1 << 20 && bytes % (1 << 20) == 0) return std::to_string(bytes >> 20) + " MiB";
    if (bytes >= 1 << 10 && bytes % (1 << 10) == 0) return std::to_string(bytes >> 10) + " KiB";
    return std::to_string(bytes) + " bytes";
}

std::string explain(const System& system, const alloc::Outcome& outcome) {
    if (outcome.problem == alloc::Problem::TooSmallBuffers) return "internal error: the planner's buffers are too small";
    const alloc::Object& object = system.objects[outcome.object];
    std::ostringstream text;
    text << system.names[outcome.object] << " (" << size_text(uint64_t{1} << object.size_bits);
    if (object.paddr != alloc::any_address) text << " at 0x" << std::hex << object.paddr << std::dec;
    text << ") ";
    switch (outcome.problem) {
        case alloc::Problem::NoMemory:
            text << "does not fit: " << size_text(outcome.free_bytes) << " are free, the largest piece "
                 << (outcome.largest_free_bits == 0 ? "none" : size_text(uint64_t{1} << outcome.largest_free_bits)) << "; "
                 << size_text(outcome.missing_bytes) << " are still needed (give the machine more memory, or make the system smaller)";
            break;
        case alloc::Problem::NotCovered:
            text << "is at an address where the board has nothing to give (correct the address)";
            break;
        case alloc::Problem::Overlap:
            text << "overlaps " << system.names[outcome.other] << " (correct one of the addresses)";
            break;
        case alloc::Problem::Misaligned:
            text << "is not aligned to its size (correct the address)";
            break;
        case alloc::Problem::DeviceMemory:
            text << "cannot be in device memory, which holds frames and untypeds only";
            break;
        case alloc::Problem::TooSmallBuffers:
        case alloc::Problem::None:
            break;
    }
    return text.str();
}

std::string_view type_name(abi::ObjectType type) {
    for (const TypeName& entry : type_names)
        if (entry.type == type) return entry.name;
    return "?";
}

}  // namespace

int main() {
    System system;
    if (!read_system(std::cin, system)) return 2;
    const size_t count = system.objects.size();
    const size_t pieces = system.untypeds.size() + alloc::paddings_per_run * count;
    std::vector<uint32_t> order(count), by_address(pieces), pool(pieces);
    std::vector<uint64_t> addresses(count);
    std::vector<alloc::Step> steps(count + pieces);
    std::vector<alloc::Piece> piece_buffer(pieces);
    const alloc::Workspace workspace{{order.data(), count},         {addresses.data(), count},   {steps.data(), steps.size()},
                                     {piece_buffer.data(), pieces}, {by_address.data(), pieces}, {pool.data(), pieces}};
    const alloc::Outcome outcome =
        plan(Slice<const alloc::Untyped>{system.untypeds.data(), system.untypeds.size()}, {system.objects.data(), count}, workspace);
    if (outcome.problem != alloc::Problem::None) {
        std::cerr << "capdl-plan: " << explain(system, outcome) << '\n';
        return 1;
    }
    for (uint32_t i = 0; i < outcome.steps; ++i) {
        const alloc::Step& step = steps[i];
        std::cout << "retype " << step.parent << ' ' << type_name(step.type) << ' ' << unsigned{step.size_bits} << ' ' << step.count
                  << (step.is_padding ? " padding\n" : " object\n");
    }
    for (size_t i = 0; i < count; ++i) std::cout << "place " << system.names[i] << " 0x" << std::hex << addresses[i] << std::dec << '\n';
    std::cout << "free " << outcome.free_bytes << ' ' << unsigned{outcome.largest_free_bits} << '\n';
    return 0;
}
