// SPDX-License-Identifier: BSD-2-Clause
#include "canonical.hpp"

#include "caprock/abi.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

namespace caprock::lockstep {

namespace {

std::string_view first_words(std::string_view line, unsigned count) {
    std::size_t end = 0;
    for (unsigned i = 0; i < count && end != std::string_view::npos; ++i) end = line.find(' ', end + (i != 0));
    return line.substr(0, end);
}

// Where the value of a field is in a line.
struct Span {
    std::size_t start;
    std::size_t length;
};
Span find_field(std::string_view line, std::string_view name) {
    std::string pattern = " " + std::string(name) + "=";
    std::size_t at = line.find(pattern);
    if (at == std::string_view::npos) return {std::string_view::npos, 0};
    std::size_t start = at + pattern.size();
    std::size_t end = line.find(' ', start);
    return {start, (end == std::string_view::npos ? line.size() : end) - start};
}

void set_field(std::string& line, std::string_view name, std::string_view value) {
    Span span = find_field(line, name);
    if (span.start != std::string_view::npos) line.replace(span.start, span.length, value);
}

std::string join(const std::vector<std::string>& list) {
    if (list.empty()) return "-";
    std::string text;
    for (const std::string& part : list) text += (text.empty() ? "" : ",") + part;
    return text;
}

std::string_view thread_field(const Lines& lines, std::string_view thread, std::string_view name) {
    auto found = lines.find("object " + std::string(thread));
    return found == lines.end() ? std::string_view{} : field(found->second, name);
}

// The queue of each domain by itself.
std::string by_domain(const Lines& lines, std::string_view queue) {
    std::map<std::string, std::string> domains;
    for (std::string_view thread : parts(queue)) {
        std::string& text = domains[std::string(thread_field(lines, thread, "domain"))];
        text += (text.empty() ? "" : ",") + std::string(thread);
    }
    std::string all;
    for (const auto& [domain, threads] : domains) all += (all.empty() ? "" : ";") + domain + ":" + threads;
    return all.empty() ? "-" : all;
}

std::string sorted(std::string_view list) {
    std::vector<std::string> all;
    for (std::string_view part : parts(list)) all.emplace_back(part);
    std::sort(all.begin(), all.end());
    return join(all);
}

void normalise_core(const Lines& lines, std::string& core) {
    set_field(core, "ready", by_domain(lines, field(core, "ready")));
    set_field(core, "sleeping", sorted(field(core, "sleeping")));
    constexpr uint64_t never = uint64_t{1} << 62;
    if (number(field(core, "turn_end")) >= never) set_field(core, "turn_end", "-");
}

void normalise_thread(std::string& line) {
    constexpr uint64_t condition_flags = 0xf000'0000;
    std::vector<std::string> kept;
    for (std::string_view part : parts(field(line, "registers"))) {
        std::size_t colon = part.find(':');
        std::string_view name = part.substr(0, colon);
        if (name == "x17" || name == "x18") continue;
        if (name != "spsr") {
            kept.emplace_back(part);
        } else if (uint64_t flags = number(part.substr(colon + 1)) & condition_flags) {
            kept.push_back("spsr:" + hex(flags));
        }
    }
    set_field(line, "registers", join(kept));
}

void normalise_context(std::string& line) {
    if (field(line, "budget") == field(line, "period")) set_field(line, "extra_refills", "0x0");
}

// An untyped without children is free from its start on, whatever it was used for before.
void normalise_untyped(std::string& line) {
    std::size_t close = line.find(')');
    std::size_t comma = line.rfind(',', close);
    line.replace(comma + 1, close - comma - 1, "0x0");
}

}  // namespace

std::string hex(uint64_t number) {
    char digits[17];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, number, 16);
    return "0x" + std::string(digits, end);
}

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    bool prefixed = text.starts_with("0x");
    std::from_chars(text.data() + (prefixed ? 2 : 0), text.data() + text.size(), value, prefixed ? 16 : 10);
    return value;
}

std::string_view field(std::string_view line, std::string_view name) {
    Span span = find_field(line, name);
    return span.start == std::string_view::npos ? std::string_view{} : line.substr(span.start, span.length);
}

std::vector<std::string_view> parts(std::string_view list) {
    std::vector<std::string_view> all;
    if (list == "-" || list.empty()) return all;
    std::size_t start = 0;
    int depth = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        depth += list[i] == '(' ? 1 : list[i] == ')' ? -1 : 0;
        if (list[i] != ',' || depth != 0) continue;
        all.push_back(list.substr(start, i - start));
        start = i + 1;
    }
    all.push_back(list.substr(start));
    return all;
}

std::vector<Line> split_state(std::string_view text) {
    std::vector<Line> lines;
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with("children ")) continue;
        bool whole = line.starts_with("core ") || line.starts_with("machine ");
        std::string_view key = first_words(line, whole ? 1 : 2);
        lines.push_back({key, line.substr(key.size())});
    }
    return lines;
}

void apply_changes(Lines& lines, std::string_view changes) {
    for (auto [key, value] : split_state(changes)) {
        auto found = lines.find(key);
        bool is_there = !value.empty() && !(key.starts_with("turn ") && field(value, "length") == "0x0");
        if (found != lines.end()) {
            is_there ? static_cast<void>(found->second = value) : static_cast<void>(lines.erase(found));
        } else if (is_there) {
            lines.emplace(key, value);
        }
    }
}

namespace {

void rename_registers(std::string& line, const Renaming& names) {
    std::vector<std::string> renamed;
    for (std::string_view part : parts(field(line, "registers"))) {
        std::size_t value = part.find(':') + 1;
        auto found = names.find(part.substr(value));
        std::string_view name = found == names.end() ? part.substr(value) : std::string_view(found->second);
        if (number(name) != 0) renamed.push_back(std::string(part.substr(0, value)) + std::string(name));
    }
    set_field(line, "registers", join(renamed));
}

// Nothing can mask SError, though the specification treats it as an interrupt like others.
const std::string serror = "interrupt " + hex(abi::irq_serror);

bool has_children(const std::vector<Line>& lines, std::string_view slot) {
    return std::any_of(lines.begin(), lines.end(), [&](const Line& line) { return line.key.starts_with("slot ") && field(line.value, "parent") == slot; });
}

// The two values of a line without what each side is free in.
struct Pair {
    std::string ours;
    std::string theirs;
};
Pair normalised(const Line& line, std::string_view theirs, const std::vector<Line>& kernel, const Lines& specification) {
    Pair pair{std::string(line.value), std::string(theirs)};
    for (std::string* text : {&pair.ours, &pair.theirs}) {
        if (line.key == "core") normalise_core(specification, *text);
        if (line.key == serror) set_field(*text, "masked", "-");
        if (text->starts_with(" TCB ")) normalise_thread(*text);
        if (text->starts_with(" SchedContext ")) normalise_context(*text);
        if (text->starts_with(" Untyped(") && !has_children(kernel, line.key.substr(5))) normalise_untyped(*text);
    }
    return pair;
}

// Only the parts of a line that the other side has not.
std::string difference_of_words(const std::string& line, const std::string& other) {
    std::istringstream ours(line);
    std::istringstream theirs(other);
    std::string text;
    std::string a;
    std::string b;
    while (ours >> a) {
        theirs >> b;
        if (a != b) text += " " + a;
        b.clear();
    }
    return text.empty() ? " less" : text;
}

// What differs, for people.
class Report {
public:
    explicit Report(unsigned most) : most_(most) {}
    void add(std::string_view key, const std::string* ours, const std::string* theirs) {
        if (++count_ > most_) return;
        std::string name(key);
        if (ours != nullptr && theirs != nullptr) {
            std::string kind = ours->substr(0, ours->find_first_of(" (", 1));
            name += (kind.find('=') != std::string::npos ? "" : kind) + ":";
            text_ += "  kernel:        " + name + difference_of_words(*ours, *theirs) + "\n";
            text_ += "  specification: " + name + difference_of_words(*theirs, *ours) + "\n";
        } else {
            text_ += "  kernel:        " + (ours == nullptr ? "no " + name : name + *ours) + "\n";
            text_ += "  specification: " + (theirs == nullptr ? "no " + name : name + *theirs) + "\n";
        }
    }
    std::string text() const { return count_ > most_ ? text_ + "  and " + std::to_string(count_ - most_) + " more lines\n" : text_; }

private:
    unsigned most_;
    unsigned count_ = 0;
    std::string text_;
};

}  // namespace

std::string difference(const std::vector<Line>& kernel, const Lines& specification, const std::function<Renaming()>& renaming, unsigned most) {
    Report report(most);
    std::size_t found = 0;
    Renaming names;
    for (const Line& line : kernel) {
        auto other = specification.find(line.key);
        if (other == specification.end()) {
            std::string ours(line.value);
            report.add(line.key, &ours, nullptr);
            continue;
        }
        ++found;
        if (line.value == other->second) continue;
        Pair pair = normalised(line, other->second, kernel, specification);
        if (pair.ours == pair.theirs) continue;
        if (line.value.starts_with(" TCB ")) {
            if (names.empty()) names = renaming();
            rename_registers(pair.ours, names);
            rename_registers(pair.theirs, names);
            if (pair.ours == pair.theirs) continue;
        }
        report.add(line.key, &pair.ours, &pair.theirs);
    }
    if (found == specification.size()) return report.text();
    std::set<std::string_view> keys;
    for (const Line& line : kernel) keys.insert(line.key);
    for (const auto& [key, value] : specification) {
        if (!keys.contains(key)) report.add(key, nullptr, &value);
    }
    return report.text();
}

}  // namespace caprock::lockstep
