// SPDX-License-Identifier: BSD-2-Clause
#include "explore.hpp"

#include "image.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_set>

namespace caprock::lockstep {

namespace {

// -- States up to names and time

constexpr uint64_t object_start = host::ram_start;
constexpr uint64_t object_end = host::ram_start + host::ram_bytes;

uint64_t mixed(uint64_t word) {
    word = (word ^ word >> 30) * 0xbf58'476d'1ce4'e5b9;
    word = (word ^ word >> 27) * 0x94d0'49bb'1331'11eb;
    return word ^ word >> 31;
}

// The numbers of objects: by the first slot that has a capability to them.
class Names {
public:
    explicit Names(const std::vector<Line>& state) {
        for (const Line& line : state) {
            if (!line.key.starts_with("slot ")) continue;
            std::size_t open = line.value.find("(0x");
            if (open == std::string_view::npos) continue;
            uint64_t address = number(line.value.substr(open + 1, line.value.find_first_of(",)", open) - open - 1));
            if (address >= object_start && address < object_end) names_.emplace(address, names_.size());
        }
    }
    // What lies in an object is named by it.
    uint64_t of(uint64_t address) const {
        auto next = names_.upper_bound(address);
        if (next == names_.begin()) return address;
        --next;
        constexpr uint64_t largest = 0x2'0000;
        return address - next->first < largest ? object_end + (next->second << 20) + (address - next->first) : address;
    }

private:
    std::map<uint64_t, uint64_t> names_;
};

// Two sums of hashes of texts, in which objects' addresses are replaced by their names.
class Hasher {
public:
    explicit Hasher(const Names& names) : names_(names) {}

    void add(std::string_view text) {
        uint64_t a = text.size();
        uint64_t b = 0xc2b2'ae3d'27d4'eb4f;
        auto take = [&](uint64_t word) {
            a = mixed(a ^ word) + 1;
            b = (b + word) * 0x1000'0000'01b3;
            b ^= b >> 29;
        };
        std::size_t start = 0;
        for (std::size_t at = next_address(text, 0); at != std::string_view::npos; at = next_address(text, start)) {
            take_letters(text.substr(start, at - start), take);
            take(names_.of(number(text.substr(at, address_letters))));
            start = at + address_letters;
        }
        take_letters(text.substr(start), take);
        high_ += a;
        low_ += b;
    }
    Key key() const { return {high_, low_}; }

private:
    static constexpr std::size_t address_letters = 10;   // 0x40000000 to 0x43ffffff
    static_assert(object_start == 0x4000'0000 && object_end == 0x4400'0000);

    static bool is_digit(char letter) { return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f'); }
    static std::size_t next_address(std::string_view text, std::size_t from) {
        for (std::size_t at = text.find('x', from + 1); at != std::string_view::npos; at = text.find('x', at + 1)) {
            std::size_t start = at - 1;
            std::size_t end = start + address_letters;
            bool fits = end <= text.size() && text[start] == '0' && text[start + 2] == '4' && text[start + 3] <= '3';
            if (fits && std::all_of(text.begin() + start + 3, text.begin() + end, is_digit) && (end == text.size() || !is_digit(text[end]))) return start;
        }
        return std::string_view::npos;
    }
    template <class Take>
    static void take_letters(std::string_view text, const Take& take) {
        for (; text.size() >= sizeof(uint64_t); text.remove_prefix(sizeof(uint64_t))) {
            uint64_t word;
            std::memcpy(&word, text.data(), sizeof word);
            take(word);
        }
        uint64_t rest = text.size();
        for (char letter : text) rest = rest << 8 | static_cast<unsigned char>(letter);
        take(rest);
    }

    const Names& names_;
    uint64_t high_ = 0;
    uint64_t low_ = 0;
};

// A line with the values of some of its fields counted from now.
std::string relative(std::string text, uint64_t now) {
    auto count_from_now = [&](std::string_view name) {
        std::string_view value = field(text, name);
        if (value.empty() || value == "-") return;
        std::string changed;
        for (std::string_view part : parts(value)) {
            std::size_t end = std::min(part.find(':'), part.size());
            changed += (changed.empty() ? "" : ",") + hex(number(part.substr(0, end)) - now) + std::string(part.substr(end));
        }
        text.replace(static_cast<std::size_t>(value.data() - text.data()), value.size(), changed);
    };
    for (const char* name : {"now", "charged_until", "turn_end", "refills"}) count_from_now(name);
    return text;
}

}  // namespace

Key key_of(const std::vector<Line>& state) {
    Names names(state);
    uint64_t now = 0;
    for (const Line& line : state) {
        if (line.key == "core") now = number(field(line.value, "now"));
    }
    Hasher hasher(names);
    for (const Line& line : state) {
        if (line.key == "machine") continue;
        std::string_view value = line.value;
        bool runs = value.starts_with(" TCB ") && field(value, "state") == "running";
        if (runs) value = value.substr(0, value.find(" registers="));
        std::string text = std::string(line.key) + std::string(value);
        bool has_times = line.key == "core" || value.starts_with(" SchedContext ");
        hasher.add(has_times ? relative(std::move(text), now) : text);
    }
    return hasher.key();
}

namespace {

struct KeyHash {
    std::size_t operator()(const Key& key) const { return key.low; }
};

// A state that was seen and is to be expanded.
struct Node {
    Image::Delta delta;
    Lockstep::Aside aside;
    std::string name;   // under which the oracle has it
    unsigned depth;
    uint32_t path;      // how it was reached: a position in the list of steps
};

// How a state was reached.
struct Step {
    uint32_t before;
    uint16_t move;
};

// The oracle's names for states, used again when one is not needed any more.
class StateNames {
public:
    std::string take() {
        if (free_.empty()) return "s" + std::to_string(count_++);
        std::string name = std::move(free_.back());
        free_.pop_back();
        return name;
    }
    void give_back(std::string name) { free_.push_back(std::move(name)); }

private:
    std::vector<std::string> free_;
    unsigned count_ = 0;
};

// Moves that can be made in most states.
constexpr uint64_t fewest_moves = 10;

class Search {
public:
    Search(Scene& scene, Oracle& oracle, Tally& tally, uint64_t most)
        : scene_(scene), lockstep_(scene.world(), oracle, tally, scene.slots(), false), most_(most),
          image_(changing_memory(scene.world(), scene.memory_start(), scene.memory_end())), start_(image_) {
        steps_.push_back({0, 0});
        keep(key_of(lockstep_.state()), 0, 0);
    }

    Found run() {
        try {
            while (!frontier_.empty() && found_.transitions < most_) {
                Node node = std::move(frontier_.front());
                frontier_.pop_front();
                expand(node);
                names_.give_back(std::move(node.name));
            }
        } catch (const std::exception& problem) {
            found_.difference = std::string(problem.what()) + "  after: " + path();
        }
        found_.states = known_.size();
        return found_;
    }

private:
    // Only as many states as will be expanded are kept.
    void keep(const Key& key, unsigned depth, uint32_t path) {
        if (!known_.insert(key).second) return;
        if ((frontier_.size() + found_.expanded) * fewest_moves > most_) return;
        std::string name = names_.take();
        lockstep_.save(name);
        frontier_.push_back({start_.difference(), lockstep_.aside(), std::move(name), depth, path});
    }

    void expand(const Node& node) {
        image_ = start_;
        image_.apply(node.delta);
        found_.depth = node.depth;
        image_.restore();
        const Inventory inventory = lockstep_.take_inventory();
        for (std::size_t i = 0; i < scene_.moves().size(); ++i) {
            image_.restore();
            lockstep_.go_back(node.aside, node.name, inventory);
            current_ = {node.path, static_cast<uint16_t>(i)};
            if (!scene_.moves()[i].perform(lockstep_)) continue;
            ++found_.transitions;
            Key key = key_of(lockstep_.state());
            if (known_.contains(key)) continue;
            steps_.push_back(current_);
            keep(key, node.depth + 1, static_cast<uint32_t>(steps_.size() - 1));
        }
        ++found_.expanded;
    }

    std::string path() const {
        std::string text = scene_.moves()[current_.move].name;
        for (uint32_t at = current_.before; at != 0; at = steps_[at].before) text = scene_.moves()[steps_[at].move].name + ", " + text;
        return scene_.name() + ": " + text + "\n";
    }

    Scene& scene_;
    Lockstep lockstep_;
    uint64_t most_;
    Image image_;
    Image start_;
    StateNames names_;
    std::deque<Node> frontier_;
    std::unordered_set<Key, KeyHash> known_;
    std::vector<Step> steps_;
    Step current_{};
    Found found_;
};

}  // namespace

Found explore(const std::string& name, Oracle& oracle, Tally& tally, uint64_t transitions) {
    std::unique_ptr<Scene> scene = make_scene(name);
    return Search(*scene, oracle, tally, transitions).run();
}

}  // namespace caprock::lockstep
