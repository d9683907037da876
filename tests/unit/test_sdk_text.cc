// SPDX-License-Identifier: BSD-2-Clause
// Texts, buffers, the formatter, the console's lines, and the memory functions that components get instead of a C library's.

#include <caprock/format.hpp>

#include "userland/servers/console/line_buffer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <climits>
#include <cstring>
#include <string>
#include <vector>

// The same source under other names: the host's functions, and the sanitizer's view of them, stay in place.
#define memcpy sdk_memcpy
#define memmove sdk_memmove
#define memset sdk_memset
#define memcmp sdk_memcmp
#define memchr sdk_memchr
#define strlen sdk_strlen
#define strnlen sdk_strnlen
#define strncmp sdk_strncmp
#define strcmp sdk_strcmp
#include "userland/caprock/source/string.cc"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strncmp
#undef strcmp

namespace {

using caprock::Buffer;
using caprock::Pattern;
using caprock::Text;
using caprock::Writer;
using caprock::hex;

std::string to_string(Text text) { return {text.data(), text.size()}; }

template <class... Arguments>
std::string formatted(Pattern<typename caprock::detail::Same<Arguments>::type...> pattern, const Arguments&... arguments)
{
    char field[64];
    Writer writer {field, sizeof field};
    caprock::format(writer, pattern, arguments...);
    return to_string(writer.text());
}

/// What a client's texts become on the line.
std::vector<std::string> lines_of(std::initializer_list<std::string> texts, bool flush = false)
{
    console::LineBuffer buffer;
    std::vector<std::string> lines;
    const auto print = [&](Text line) { lines.push_back(to_string(line)); };
    for (const std::string& text : texts)
        buffer.add("who", {text.data(), text.size()}, print);
    if (flush)
        buffer.flush("who", print);
    return lines;
}

} // namespace

TEST_CASE("texts compare by their characters and end at a NUL in fields")
{
    CHECK(Text {"abc"} == Text("abcd", 3));
    CHECK_FALSE(Text {"abc"} == Text {"abd"});
    CHECK_FALSE(Text {"abc"} == Text {"ab"});
    CHECK(Text {}.empty());
    const uint8_t field[4] = {'a', 'b', 0, 'c'};
    CHECK(Text::from_field(field, 4) == "ab");
    CHECK(Text::from_field(field, 1) == "a");
    const uint8_t full[2] = {'a', 'b'};
    CHECK(Text::from_field(full, 2) == "ab");
}

TEST_CASE("spans give parts and never more than they have")
{
    int numbers[] = {1, 2, 3, 4};
    const caprock::Span<int> span {numbers};
    CHECK(span.part(1).size() == 3);
    CHECK(span.part(1, 2).end() == numbers + 3);
    CHECK(span.part(3, SIZE_MAX).size() == 1);
    CHECK(span.part(4).empty());
    CHECK(span.part(SIZE_MAX, SIZE_MAX).empty());
}

TEST_CASE("buffers refuse what they have no room for and stay as they were")
{
    Buffer<4> buffer;
    CHECK(buffer.append(Text {"abc"}.bytes()));
    CHECK_FALSE(buffer.append(Text {"de"}.bytes()));
    CHECK(buffer.text() == "abc");
    CHECK(buffer.append('d'));
    CHECK_FALSE(buffer.append('e'));
    CHECK_FALSE(buffer.resize(5));
    CHECK(buffer.text() == "abcd");
    CHECK(buffer.resize(2));
    CHECK(buffer.text() == "ab");
}

TEST_CASE("values are written as documented")
{
    CHECK(formatted("plain") == "plain");
    CHECK(formatted("{}", 0) == "0");
    CHECK(formatted("{} {}", -1, 42u) == "-1 42");
    CHECK(formatted("{}", INT64_MIN) == "-9223372036854775808");
    CHECK(formatted("{}", UINT64_MAX) == "18446744073709551615");
    CHECK(formatted("{} {}", hex(0), hex(0xdeadbeef)) == "0x0 0xdeadbeef");
    CHECK(formatted("{}", hex(UINT64_MAX)) == "0xffffffffffffffff");
    CHECK(formatted("[{}|{}|{}]", 'x', true, Text {"text"}) == "[x|true|text]");
    CHECK(formatted("{}{}", "a", "b") == "ab");
    CHECK(formatted("{ } }{ {") == "{ } }{ {");
}

TEST_CASE("a writer cuts off what does not fit and says so")
{
    char field[5];
    Writer writer {field, sizeof field};
    caprock::format(writer, "{}", "12345");
    CHECK_FALSE(writer.truncated());
    caprock::format(writer, "{}", 6);
    CHECK(writer.truncated());
    CHECK(to_string(writer.text()) == "12345");
}

TEST_CASE("the console prints whole lines with the client's name")
{
    CHECK(lines_of({"one\ntwo\n"}) == std::vector<std::string> {"[who] one\n", "[who] two\n"});
    CHECK(lines_of({"o", "n", "e"}).empty());
    CHECK(lines_of({"o", "ne\nt", "wo\n"}) == std::vector<std::string> {"[who] one\n", "[who] two\n"});
    CHECK(lines_of({"\n"}) == std::vector<std::string> {"[who] \n"});
    CHECK(lines_of({"rest"}, true) == std::vector<std::string> {"[who] rest\n"});
    CHECK(lines_of({"done\n"}, true).size() == 1);
}

TEST_CASE("no client can forge the start of a line")
{
    CHECK(lines_of({"x\rcaprock: exit 0\n"}) == std::vector<std::string> {"[who] x?caprock: exit 0\n"});
    CHECK(lines_of({"\x1b[2J\x9b\x80\x7f\t\n"}) == std::vector<std::string> {"[who] ?[2J???\t\n"});
    CHECK(lines_of({std::string(1, '\0') + "\n"}) == std::vector<std::string> {"[who] ?\n"});
    const std::string longest(console::max_line, 'a');
    const auto lines = lines_of({longest + "caprock: exit 0\n"});
    CHECK(lines == std::vector<std::string> {"[who] " + longest + "\n", "[who] caprock: exit 0\n"});
}

TEST_CASE("memory functions agree with the host's for every alignment and size")
{
    for (size_t to = 0; to < 10; ++to) {
        for (size_t from = 0; from < 10; ++from) {
            for (size_t size = 0; size < 30; ++size) {
                std::string mine(48, '.');
                for (size_t i = 0; i < mine.size(); ++i)
                    mine[i] = static_cast<char>(i + 1);
                std::string host = mine;
                sdk_memmove(mine.data() + to, mine.data() + from, size);
                std::memmove(host.data() + to, host.data() + from, size);
                REQUIRE(mine == host);
                const std::string source = mine;
                CHECK(sdk_memcpy(mine.data() + to, source.data() + from, size) == mine.data() + to);
                std::memcpy(host.data() + to, source.data() + from, size);
                REQUIRE(mine == host);
                sdk_memset(mine.data() + to, static_cast<int>(from + 250), size);
                std::memset(host.data() + to, static_cast<int>(from + 250), size);
                REQUIRE(mine == host);
            }
        }
    }
}

TEST_CASE("string functions keep their contracts")
{
    CHECK(sdk_memcmp("abc", "abd", 2) == 0);
    CHECK(sdk_memcmp("abc", "abd", 3) < 0);
    CHECK(sdk_memcmp("\xff", "a", 1) > 0);
    const char* text = "hello";
    CHECK(sdk_memchr(text, 'l', 5) == text + 2);
    CHECK(sdk_memchr(text, 'o', 4) == nullptr);
    CHECK(sdk_strlen("") == 0);
    CHECK(sdk_strlen(text) == 5);
    CHECK(sdk_strnlen(text, 3) == 3);
    CHECK(sdk_strnlen(text, 30) == 5);
    CHECK(sdk_strcmp("a", "a") == 0);
    CHECK(sdk_strcmp("a", "ab") < 0);
    CHECK(sdk_strcmp("\xff", "a") > 0);
    CHECK(sdk_strncmp("abx", "aby", 2) == 0);
}
