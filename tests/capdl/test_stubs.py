# SPDX-License-Identifier: BSD-2-Clause
"""Headers made of interfaces: they compile, carry every kind of parameter there and back, and answer malformed requests with errors."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capdl import stubs

ROOT = Path(__file__).resolve().parent.parent.parent

EVERYTHING = """
caprock 1
interface Everything {
  nothing()
  scalars(in u8 a, in i8 b, in u16 c, in i16 d, in u32 e, in i32 f, in u64 g, in i64 h, in bool i) -> i32
  outputs(out u8 low, inout i64 both, out bool flag) -> u16
  upper(in bytes[20] text, in u8 first, out bytes[30] result)
  longest(in bytes[952] text) -> u64
  fail(in u64 error)
  names(in u8 packet, in u8 request, in u8 reply, in u8 caller, in u8 names) -> u8
  small(in bytes[1] one, out bytes[8] eight) -> bool
}
interface SecondOne { ping(in u64 value) -> u64 }
interface Shapes @2 {
  struct Point { i32 x; i32 y }
  struct Line { Point[2] ends, u8[5] tag; bool on }
  move(in Point by, inout Line line, out u16[7] many, in bool[9] flags) -> u64 wcet 10us
  join(in Line[3] lines, inout bytes[9] text, out i8[3] small) idempotent wcet 2ms
  give(in cap frame, in u8 tag) -> u64
  get(in u8 which, out cap frame)
}
"""

ROUND_TRIP = r"""
#include "interfaces/everything.hpp"
#include "interfaces/second_one.hpp"
#include "interfaces/shapes.hpp"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

using namespace caprock;
using interfaces::Everything;

#define CHECK(condition) ((condition) ? (void)0 : (printf("line %d: %s\n", __LINE__, #condition), exit(1)))

struct Service : Everything::Service<Service> {
    RpcResult<void> nothing(Caller caller)
    {
        last_badge = caller.badge;
        return {};
    }
    RpcResult<int32_t> scalars(Caller, uint8_t a, int8_t b, uint16_t c, int16_t d, uint32_t e, int32_t f, uint64_t g, int64_t h, bool i)
    {
        ++calls;
        return static_cast<int32_t>(a + b + c + d + static_cast<int64_t>(e) + f + static_cast<int64_t>(g) + h + (i ? 1 : 0));
    }
    RpcResult<uint16_t> outputs(Caller, uint8_t& low, int64_t& both, bool& flag)
    {
        low = 200;
        both = -both;
        flag = true;
        return uint16_t {65535};
    }
    RpcResult<void> upper(Caller, const Buffer<20>& text, uint8_t first, Buffer<30>& result)
    {
        ++calls;
        result.append(first);
        for (const uint8_t byte : text.bytes())
            result.append(static_cast<uint8_t>(byte - 32));
        return {};
    }
    RpcResult<uint64_t> longest(Caller, const Buffer<952>& text)
    {
        uint64_t sum = 0;
        for (const uint8_t byte : text.bytes())
            sum = sum * 31 + byte;
        return sum;
    }
    RpcResult<void> fail(Caller, uint64_t error) { return static_cast<RpcError>(error); }
    RpcResult<uint8_t> names(Caller, uint8_t packet, uint8_t request, uint8_t reply, uint8_t caller, uint8_t names)
    {
        return static_cast<uint8_t>(packet + request + reply + caller + names);
    }
    RpcResult<bool> small(Caller, const Buffer<1>& one, Buffer<8>& eight)
    {
        eight.resize(one.size() * 8);
        return !one.empty();
    }

    uint64_t last_badge = 0;
    int calls = 0;
};

struct Second : interfaces::SecondOne::Service<Second> {
    RpcResult<uint64_t> ping(Caller, uint64_t value) { return value + 1; }
};

uint64_t released;
void caprock::release_cap(uint64_t slot) { released = released * 100 + slot; }

struct Shapes : interfaces::Shapes::Service<Shapes> {
    using Line = interfaces::Shapes::Line;
    RpcResult<uint64_t> move(Caller, const interfaces::Shapes::Point& by, Line& line, Array<uint16_t, 7>& many, const Array<bool, 9>& flags)
    {
        for (auto& end : line.ends) {
            end.x += by.x;
            end.y += by.y;
        }
        line.tag[4] = static_cast<uint8_t>(line.tag[0] + 1);
        line.on = !line.on;
        for (size_t i = 0; i < many.size(); ++i)
            many[i] = static_cast<uint16_t>(65535 - i);
        uint64_t mask = 0;
        for (const bool flag : flags)
            mask = mask << 1 | flag;
        return mask;
    }
    RpcResult<void> join(Caller, const Array<Line, 3>& lines, Buffer<9>& text, Array<int8_t, 3>& small)
    {
        if (lost-- > 0)
            return RpcError::CallCancelled;
        text.append(static_cast<uint8_t>(lines[2].tag[1]));
        small[0] = -128;
        small[2] = static_cast<int8_t>(lines[1].ends[1].y);
        return {};
    }
    RpcResult<uint64_t> give(Caller, ReceivedCap& frame, uint8_t tag)
    {
        if (tag == 1)
            return frame.keep();
        return tag == 2 ? frame.badge() : frame.slot();
    }
    RpcResult<void> get(Caller, uint8_t which, uint64_t& frame)
    {
        frame = which;
        return which == 9 ? RpcResult<void> {RpcError::Refused} : RpcResult<void> {};
    }
    int lost = 0;
};

// As a kernel would: copies the message, so that sender and receiver share nothing.
template <class Receiver>
struct Transport {
    Receiver* receiver;
    uint64_t* memory;
    /// What becomes of a capability under way: 0 it does not arrive, 1 it arrives in slot 50, 2 as the badge 7.
    int caps = 1;

    Packet packet() const
    {
        Packet packet;
        packet.memory = memory;
        packet.caps = memory + abi::ipc_message_words;
        return packet;
    }
    void arrive(Packet& packet) const
    {
        packet.received_slot = packet.info.extra_caps() != 0 && caps == 1 ? 50 + packet.caps[0] % 10 : 0;
        packet.received_badge = packet.info.extra_caps() != 0 && caps == 2 ? 7 : 0;
    }
    void call(Packet& packet) const
    {
        uint64_t receiver_memory[abi::ipc_message_words + 3];
        memcpy(receiver_memory, memory, sizeof receiver_memory);
        Packet received = packet;
        received.memory = receiver_memory;
        received.caps = receiver_memory + abi::ipc_message_words;
        received.badge = 77;
        arrive(received);
        for (size_t i = received.info.length(); i < abi::ipc_register_words; ++i)
            received.registers[i] = 0;
        receiver->dispatch(received, Caller {received.badge});
        drop_cap(received);
        memcpy(memory, receiver_memory, sizeof receiver_memory);
        received.memory = memory;
        received.caps = memory + abi::ipc_message_words;
        arrive(received);
        packet = received;
    }
};

static ConstBytes bytes(const char* text) { return Text {text}.bytes(); }

static void check_round_trips(Service& service, const Everything::Client<Transport<Service>>& client)
{
    CHECK(client.nothing().ok());
    CHECK(service.last_badge == 77);
    const auto sum = client.scalars(255, -128, 65535, -32768, 4000000000u, -2147483647, 5, -4000000000, true);
    CHECK(sum.ok());
    CHECK(sum.value() == static_cast<int32_t>(255 - 128 + 65535 - 32768 + 4000000000 - 2147483647 + 5 - 4000000000 + 1));
    uint8_t low = 0;
    int64_t both = 1234567890123;
    bool flag = false;
    const auto outputs = client.outputs(low, both, flag);
    CHECK(outputs.ok() && outputs.value() == 65535 && low == 200 && both == -1234567890123 && flag);
    Buffer<30> result;
    CHECK(client.upper(bytes("twentycharactersworth"), 'x', result).error() == RpcError::BadArgument);
    CHECK(client.upper(bytes("twentycharactersfits"), 'x', result).ok());
    CHECK(result.text() == "xTWENTYCHARACTERSFITS");
    CHECK(client.upper(bytes(""), 'y', result).ok() && result.text() == "y");
    char text[953];
    uint64_t expected = 0;
    for (size_t i = 0; i < 952; ++i) {
        text[i] = static_cast<char>(i * 7);
        expected = expected * 31 + static_cast<uint8_t>(text[i]);
    }
    const auto longest = client.longest(Text {text, 952}.bytes());
    CHECK(longest.ok() && longest.value() == expected);
    CHECK(client.longest(Text {text, 953}.bytes()).error() == RpcError::BadArgument);
    CHECK(client.fail(static_cast<uint64_t>(RpcError::Busy)).error() == RpcError::Busy);
    CHECK(client.fail(0).ok());
    CHECK(client.names(1, 2, 3, 4, 5).value() == 15);
    Buffer<8> eight;
    const auto one = client.small(bytes("a"), eight);
    CHECK(one.ok() && one.value() && eight.size() == 8);
    CHECK(client.small(bytes(""), eight).ok() && eight.empty());
}

static RpcError answer(Service& service, uint64_t label, const uint64_t* words, size_t count, size_t claimed)
{
    uint64_t memory[abi::ipc_message_words] {};
    Packet packet;
    packet.memory = memory;
    for (size_t i = 0; i < count; ++i)
        packet.set_word(i, words[i]);
    packet.info = abi::MessageInfo::make(claimed, 0, 0, label);
    service.dispatch(packet, Caller {1});
    return static_cast<RpcError>(packet.info.label());
}

static void check_malformed(Service& service)
{
    const uint64_t words[12] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 9, 9};
    service.calls = 0;
    CHECK(answer(service, 0, words, 9, 9) == RpcError::UnknownMethod);
    CHECK(answer(service, 9, words, 9, 9) == RpcError::UnknownMethod);
    CHECK(answer(service, uint64_t {1} << 51, words, 9, 9) == RpcError::UnknownMethod);
    CHECK(answer(service, 1, words, 1, 1) == RpcError::BadLength);
    CHECK(answer(service, 2, words, 8, 8) == RpcError::BadLength);
    CHECK(answer(service, 2, words, 10, 10) == RpcError::BadLength);
    CHECK(answer(service, 2, words, 12, 127) == RpcError::BadLength);
    CHECK(service.calls == 0);
    CHECK(answer(service, 2, words, 9, 9) == RpcError::None);
    CHECK(service.calls == 1);
    const uint64_t wide[9] = {256, 2, 3, 4, 5, 6, 7, 8, 1};
    CHECK(answer(service, 2, wide, 9, 9) == RpcError::BadArgument);
    const uint64_t no_bool[9] = {1, 2, 3, 4, 5, 6, 7, 8, 2};
    CHECK(answer(service, 2, no_bool, 9, 9) == RpcError::BadArgument);
    const uint64_t too_long[5] = {1, 21, 0, 0, 0};
    CHECK(answer(service, 4, too_long, 5, 5) == RpcError::BadArgument);
    const uint64_t huge[5] = {1, UINT64_MAX, 0, 0, 0};
    CHECK(answer(service, 4, huge, 5, 5) == RpcError::BadArgument);
    const uint64_t cut[4] = {1, 20, 0, 0};
    CHECK(answer(service, 4, cut, 4, 4) == RpcError::BadLength);
    CHECK(service.calls == 1);
}

// Whatever arrives, the answer is a reply, and the sanitizers stay silent.
static void check_noise(Service& service)
{
    uint64_t state = 1;
    for (int round = 0; round < 20000; ++round) {
        uint64_t words[abi::ipc_message_words];
        for (uint64_t& word : words) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            word = state >> 33 & (round % 2 ? UINT64_MAX : 31);
        }
        answer(service, words[0] % 10, words, abi::ipc_message_words, words[1] % 128);
    }
}

// Replies that are not the method's.
struct LyingServer {
    uint64_t label;
    size_t length;
    void dispatch(Packet& packet, Caller) const { packet.info = abi::MessageInfo::make(length, 0, 0, label); }
};

static void check_bad_replies(uint64_t* memory)
{
    LyingServer server {0, 0};
    const Everything::Client<Transport<LyingServer>> client {Transport<LyingServer> {&server, memory}};
    uint8_t low;
    int64_t both = 0;
    bool flag;
    CHECK(client.outputs(low, both, flag).error() == RpcError::BadReply);
    server.length = 1;
    CHECK(client.nothing().error() == RpcError::BadReply);
    server = {static_cast<uint64_t>(RpcError::CallCancelled), 0};
    CHECK(client.nothing().error() == RpcError::CallCancelled);
}

static void check_shapes(uint64_t* memory)
{
    Shapes service;
    const interfaces::Shapes::Client<Transport<Shapes>> client {{&service, memory}};
    Shapes::Line line {{Array<interfaces::Shapes::Point, 2> {{{1, -2}, {INT32_MAX - 5, INT32_MIN}}}}, {{250, 2, 3, 4, 5}}, true};
    Array<uint16_t, 7> many;
    const auto mask = client.move({5, 7}, line, many, {{true, false, false, false, true, false, false, true, true}});
    CHECK(mask.ok() && mask.value() == 0x113);
    CHECK(line.ends[0].x == 6 && line.ends[0].y == 5 && line.ends[1].x == INT32_MAX && line.ends[1].y == INT32_MIN + 7);
    CHECK(line.tag[0] == 250 && line.tag[3] == 4 && line.tag[4] == 251 && !line.on && many[0] == 65535 && many[6] == 65529);
    Array<Shapes::Line, 3> lines;
    lines[2].tag[1] = 'x';
    lines[1].ends[1].y = -3;
    Buffer<9> text;
    text.append(bytes("abc"));
    Array<int8_t, 3> small;
    CHECK(client.join(lines, text, small).ok() && text.text() == "abcx" && small[0] == -128 && small[1] == 0 && small[2] == -3);
    // Lost replies: an idempotent method is called again, a bounded number of times.
    service.lost = idempotent_attempts - 1;
    CHECK(client.join(lines, text, small).ok() && text.text() == "abcxx");
    service.lost = idempotent_attempts;
    CHECK(client.join(lines, text, small).error() == RpcError::CallCancelled && service.lost == 0);
    CHECK(interfaces::Shapes::version == 2 && interfaces::Shapes::Wcet::move == 10 && interfaces::Shapes::Wcet::join == 2000);
}

static void check_caps(uint64_t* memory)
{
    Shapes service;
    using Client = interfaces::Shapes::Client<Transport<Shapes>>;
    const Client client {{&service, memory}};
    released = 0;
    CHECK(client.give(3, 1).value() == 53 && released == 0);
    CHECK(client.give(4, 0).value() == 54 && released == 54);
    CHECK((Client {{&service, memory, 2}}.give(3, 2).value() == 7));
    CHECK((Client {{&service, memory, 0}}.give(3, 0).error() == RpcError::MissingCap));
    CHECK(client.give(0, 0).error() == RpcError::MissingCap);
    released = 0;
    {
        ReceivedCap cap;
        CHECK(client.get(5, cap).ok() && cap.slot() == 55 && cap.came());
        CHECK(client.get(6, cap).ok() && cap.slot() == 56 && released == 55);
        CHECK(client.get(0, cap).error() == RpcError::MissingCap && !cap.came() && released == 5556);
        CHECK(client.get(9, cap).error() == RpcError::Refused);
        CHECK(client.get(7, cap).ok() && cap.keep() == 57);
    }
    CHECK(released == 5556);
    // What nobody asked for is deleted: with a request, and with a reply.
    Packet stray = Transport<Shapes> {&service, memory}.packet();
    PacketWriter writer {stray};
    writer.put_cap(8);
    writer.put(3);
    writer.finish(4);
    released = 0;
    Transport<Shapes> {&service, memory}.call(stray);
    CHECK(released == 58 && stray.received_slot == 53);
    drop_cap(stray);
    CHECK(released == 5853 && stray.received_slot == 0);
}

// Arrays whose unused bytes or elements are no values of their type.
static void check_arrays(uint64_t* memory)
{
    Shapes service;
    const auto label = [&](uint64_t flags, uint64_t more, uint64_t tag) {
        const uint64_t words[] = {1, 2, 3, 4, 5, 6, tag, 1, flags, more};
        Packet packet;
        packet.memory = memory;
        for (size_t i = 0; i < 10; ++i)
            packet.set_word(i, words[i]);
        packet.info = abi::MessageInfo::make(10, 0, 0, 1);
        service.dispatch(packet, Caller {1});
        return static_cast<RpcError>(packet.info.label());
    };
    CHECK(label(0x0101010101010101, 1, 0xffffffffff) == RpcError::None);
    CHECK(label(2, 0, 0) == RpcError::BadArgument);
    CHECK(label(0, 0x100, 0) == RpcError::BadArgument);
    CHECK(label(0, 0, uint64_t {1} << 40) == RpcError::BadArgument);
}

int main()
{
    uint64_t memory[abi::ipc_message_words + 3] {};
    check_shapes(memory);
    check_caps(memory);
    check_arrays(memory);
    Service service;
    check_round_trips(service, Everything::Client<Transport<Service>> {Transport<Service> {&service, memory}});
    check_malformed(service);
    check_noise(service);
    check_bad_replies(memory);
    Second second;
    const interfaces::SecondOne::Client<Transport<Second>> client {Transport<Second> {&second, memory}};
    CHECK(client.ping(41).value() == 42);
    puts("done");
}
"""


def describe(folder, text):
    """Write a description to `folder` and give its path."""
    path = folder / "test.cdl"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(name="abi", scope="session")
def make_abi(tmp_path_factory):
    """An include folder with the generated kernel interface."""
    folder = tmp_path_factory.mktemp("abi")
    subprocess.run(["/usr/bin/python3", ROOT / "kernel/api/generate.py", "--out", folder], check=True, timeout=120)
    return folder


def test_messages_go_there_and_back(tmp_path, abi):
    """The generated client and service, compiled for this machine, speak with each other."""
    written, diagnostics = stubs.generate(describe(tmp_path, EVERYTHING), tmp_path / "interfaces")
    assert diagnostics.ok, diagnostics.render()
    assert sorted(path.name for path in written) == ["everything.h", "everything.hpp", "second_one.h", "second_one.hpp", "shapes.h",
                                                           "shapes.hpp"]
    source = tmp_path / "main.cc"
    source.write_text(ROUND_TRIP, encoding="utf-8")
    subprocess.run(["g++", "-std=gnu++2b", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-g", "-O1", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", f"-I{tmp_path}", f"-I{abi}", f"-I{ROOT / 'userland/caprock/include'}", source,
                    "-o", tmp_path / "program"], check=True, timeout=300)
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


@pytest.mark.parametrize("compiler", [["g++", "-x", "c", "-std=gnu11"], ["g++", "-x", "c++", "-std=gnu++2b"],
                                      ["clang++-19", "-x", "c", "-std=gnu11"], ["clang++-19", "-x", "c++", "-std=gnu++2b"]], ids=" ".join)
def test_c_headers_compile_in_c_and_cpp(tmp_path, compiler):
    """All of them in one program, by both compilers, without a warning. That they work is tested on the target."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    written, diagnostics = stubs.generate(describe(tmp_path, EVERYTHING), tmp_path / "interfaces")
    assert diagnostics.ok
    names = [path.name for path in written if path.suffix == ".h"]
    (tmp_path / "main").write_text("".join(f'#include "interfaces/{name}"\n' for name in names) + "int main(void) { return 0; }\n", encoding="utf-8")
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffreestanding", f"-I{tmp_path}",
                    f"-I{ROOT / 'userland/caprock/include'}", "-c", tmp_path / "main", "-o", tmp_path / "main.o"], check=True, timeout=300)


def test_output_is_deterministic_and_without_paths(tmp_path):
    """The same description gives the same bytes, wherever it lies."""
    results = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        written, _ = stubs.generate(describe(folder, EVERYTHING), folder)
        results.append([path.read_bytes() for path in written])
    assert results[0] == results[1]
    assert str(tmp_path).encode() not in b"".join(results[0])


def test_the_projects_interfaces_generate(tmp_path):
    """Every interface of the project has a header of its name."""
    files = [path for path in sorted((ROOT / "userland/interfaces").glob("*.cdl")) if "\ninterface " in path.read_text(encoding="utf-8")]
    assert files
    for file in files:
        written, diagnostics = stubs.generate(file, tmp_path)
        assert diagnostics.ok, diagnostics.render()
        assert file.stem + ".hpp" in [path.name for path in written]


@pytest.mark.parametrize(("body", "place", "message"), [
    ("interface class { a() }", "3:11", "name that generated code needs"),
    ("interface Client { a() }", "3:11", "name that generated code needs"),
    ("interface A { while() }", "3:15", "name that generated code needs"),
    ("interface A { dispatch() }", "3:15", "name that generated code needs"),
    ("interface A { A() }", "3:15", "name that generated code needs"),
    ("interface A { a_() }", "3:15", "no name for C++ code"),
    ("interface A { a__b() }", "3:15", "no name for C++ code"),
    ("interface A { a(in u8 int) }", "3:17", "name that generated code needs"),
    ("interface A { a(in u8 b, out u8 packet_) }", "3:26", "no name for C++ code"),
    ("interface A { a() a() }", "3:19", "two methods"),
    ("interface A { struct Client { u8 a } a() }", "3:22", "name that generated code needs"),
    ("interface A { struct B { u8 int } a() }", "3:26", "name that generated code needs"),
    ("interface A { struct B { u8 B } a() }", "3:26", "name that generated code needs"),
    ("interface A { struct B { u8 a } B() }", "3:22", "name that generated code needs"),
    ("interface A { struct B { u8 a } c(in u8 B) }", "3:35", "name that generated code needs"),
    ("interface A { struct B { u8 a } struct B { u8 b } }", "3:40", "two structs 'B'"),
    ("interface A { struct B { u8 a u8 a } }", "3:31", "two fields 'a'"),
    ("interface A { struct B { u64[119] a } b(in B[1] c, in u8[9] d) }", "3:39", "takes 121 words"),
    ("interface A { a(in cap b, in u8 c, in cap d) }", "3:36", "hands over one"),
    ("interface A { a(in bytes[960] x) }", "3:15", "takes 121 words"),
    ("interface A { a(out bytes[952] x) -> u8 }", "3:15", "takes 121 words"),
])
def test_what_cannot_be_generated_is_refused_with_its_place(tmp_path, body, place, message):
    """Each refusal names the place and the reason, and writes nothing."""
    path = describe(tmp_path, f"caprock 1\n\n{body}\n")
    written, diagnostics = stubs.generate(path, tmp_path / "out")
    assert written == [] and not (tmp_path / "out").exists()
    assert any(str(finding.place).endswith(f"test.cdl:{place}") and message in finding.message for finding in diagnostics.findings), \
        diagnostics.render()


def run_command(*arguments):
    """Run the command line with the project's packages."""
    return subprocess.run([sys.executable, "-B", "-m", "capdl.stubs", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          check=False)


def test_command_line(tmp_path):
    """Exit status 0, 1 and 2, and errors on stderr."""
    good = describe(tmp_path, "caprock 1\ninterface A { a() }\n")
    done = run_command(good, "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/a.hpp").exists()
    missing = run_command(tmp_path / "missing.cdl", "-o", tmp_path / "out")
    assert missing.returncode == 1 and "missing.cdl" in missing.stderr
    assert run_command(good).returncode == 2
    bad = tmp_path / "bad.cdl"
    bad.write_text("caprock 1\ninterface A { for() }\n", encoding="utf-8")
    refused = run_command(bad, "-o", tmp_path / "out")
    assert refused.returncode == 1 and "bad.cdl:2:15: error:" in refused.stderr
