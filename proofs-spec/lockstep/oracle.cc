// SPDX-License-Identifier: BSD-2-Clause
#include "oracle.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <utility>

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
    // An oracle that has ended shows when it is written to.
    std::signal(SIGPIPE, SIG_IGN);
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
    from_ = out[0];
    if (error != 0) throw OracleFailure(path + ": it cannot be started: " + std::strerror(error) + " (build it: proofs-spec/build.py)");
    if (to_ == nullptr) throw OracleFailure("no stream to the oracle");
}

Oracle::~Oracle() {
    if (to_ != nullptr) std::fclose(to_);
    if (from_ >= 0) close(from_);
    int status = 0;
    if (process_ > 0) waitpid(process_, &status, 0);
}

void Oracle::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), to_) != text.size()) throw OracleFailure("the oracle does not read any more");
}

void Oracle::send() {
    if (std::fflush(to_) != 0) throw OracleFailure("the oracle does not read any more");
}

// Valid until the next line is read.
std::string_view Oracle::line() {
    std::size_t end = read_.find('\n', next_);
    while (end == std::string::npos) {
        constexpr std::size_t piece = 65536;
        read_.erase(0, std::exchange(next_, 0));
        std::size_t had = read_.size();
        read_.resize(had + piece);
        ssize_t count = read(from_, read_.data() + had, piece);
        if (count < 0 && errno == EINTR) count = 0;
        else if (count <= 0) throw OracleFailure("the oracle ended early; what it said of the reason is above");
        read_.resize(had + static_cast<std::size_t>(count));
        end = read_.find('\n', had);
    }
    std::string_view text(read_.data() + next_, end - next_);
    next_ = end + 1;
    return text;
}

std::string Oracle::lines() {
    std::string text;
    for (std::string_view next = line(); next != "."; next = line()) (text += next) += '\n';
    return text;
}

void Oracle::begin(const std::string& lines) { write("begin\n" + lines + "end\n"); }

void Oracle::save(std::string_view name) {
    settle();
    write("save " + std::string(name) + "\n");
}

void Oracle::restore(std::string_view name) {
    settle();
    write("restore " + std::string(name) + "\n");
}

void Oracle::settle() {
    if (next_state_.empty()) return;
    write("restore " + next_state_ + "\nchanges\n");
    next_state_.clear();
    ++owed_;
}

Outcome Oracle::perform(const std::string& event, std::string& changes) {
    settle();
    write(event + "\nchanges\nflush\n");
    send();
    changes.clear();
    for (; owed_ > 0; --owed_) changes += lines();
    Outcome outcome;
    std::istringstream words{std::string(line())};
    std::string word;
    if (!(words >> outcome.result >> word)) throw OracleFailure("the oracle gave no result for: " + event);
    while (words >> word) outcome.effects.push_back(word);
    changes += lines();
    return outcome;
}

std::string Oracle::state() {
    settle();
    write("state\n");
    send();
    return lines();
}

}  // namespace caprock::lockstep
