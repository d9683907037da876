// SPDX-License-Identifier: BSD-2-Clause
#include "watchdog.hpp"

#include <csignal>
#include <cstdlib>
#include <string_view>
#include <sys/time.h>
#include <unistd.h>

namespace caprock::lockstep {

namespace {

constexpr long most_seconds = 10;
constexpr std::size_t stack_bytes = 65536;
const std::string* place = nullptr;
alignas(16) char stack[stack_bytes];   // for the handler, when the program's own stack has overflown

void say(std::string_view text) {
    if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(EXIT_FAILURE);
}

void give_up(int signal) {
    say("lockstep: failure: ");
    say(*place);
    say(signal == SIGVTALRM ? ": the kernel does not come back from an event\n" : ": the kernel breaks down, or its state cannot be read\n");
    _exit(EXIT_FAILURE);
}

void set_timer(long seconds) {
    itimerval value{};
    value.it_value.tv_sec = seconds;
    setitimer(ITIMER_VIRTUAL, &value, nullptr);
}

}  // namespace

void catch_crashes(const std::string& where) {
    place = &where;
    stack_t own{};
    own.ss_sp = stack;
    own.ss_size = sizeof stack;
    sigaltstack(&own, nullptr);
    struct sigaction action {};
    action.sa_handler = give_up;
    action.sa_flags = SA_ONSTACK;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGVTALRM}) sigaction(signal, &action, nullptr);
}

Watch::Watch() { set_timer(most_seconds); }
Watch::~Watch() { set_timer(0); }

}  // namespace caprock::lockstep
