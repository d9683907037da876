// SPDX-License-Identifier: BSD-2-Clause
#include "oracle.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

extern char** environ;

namespace caprock::lockstep {

namespace {

std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) throw OracleFailure(std::string("no pipe to the oracle: ") + std::strerror(errno));
    return ends;
}

}  // namespace

Oracle::Oracle(const std::string& path) {
    std::array<int, 2> in = make_pipe();
    std::array<int, 2> out = make_pipe();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    for (int end : {in[0], in[1], out[0], out[1]}) posix_spawn_file_actions_addclose(&actions, end);
    std::string name = path;
    std::string mode = "--results";
    char* arguments[] = {name.data(), mode.data(), nullptr};
    int error = posix_spawn(&process_, path.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    to_ = fdopen(in[1], "w");
    from_ = fdopen(out[0], "r");
    if (error != 0) throw OracleFailure(path + ": it cannot be started: " + std::strerror(error) + " (build it: proofs-spec/build.py)");
    if (to_ == nullptr || from_ == nullptr) throw OracleFailure("no stream to the oracle");
}

Oracle::~Oracle() {
    if (to_ != nullptr) std::fclose(to_);
    if (from_ != nullptr) std::fclose(from_);
    int status = 0;
    if (process_ > 0) waitpid(process_, &status, 0);
}

void Oracle::write(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), to_) != text.size()) throw OracleFailure("the oracle does not read any more");
}

std::string Oracle::line() {
    std::string text;
    for (int c = std::getc(from_); c != '\n'; c = std::getc(from_)) {
        if (c == EOF) throw OracleFailure("the oracle ended early; what it said of the reason is above");
        text.push_back(static_cast<char>(c));
    }
    return text;
}

void Oracle::begin(const std::string& lines) { write("begin\n" + lines + "end\n"); }

Outcome Oracle::perform(const std::string& event) {
    write(event + "\nflush\n");
    std::fflush(to_);
    std::istringstream words(line());
    Outcome outcome;
    std::string word;
    if (!(words >> outcome.result >> word)) throw OracleFailure("the oracle gave no result for: " + event);
    while (words >> word) outcome.effects.push_back(word);
    return outcome;
}

std::string Oracle::state() {
    write("state\n");
    std::fflush(to_);
    std::string text;
    for (std::string next = line(); next != "."; next = line()) text += next + "\n";
    return text;
}

}  // namespace caprock::lockstep
