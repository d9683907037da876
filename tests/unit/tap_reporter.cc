// SPDX-License-Identifier: BSD-2-Clause
// A Catch2 reporter that prints TAP with one line per test case, so that Meson and ./caprock test count cases; Catch2's own prints one per
// assertion. Chosen with `--reporter tap-cases`.
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <catch2/reporters/catch_reporter_streaming_base.hpp>

#include <ostream>
#include <sstream>
#include <string>

namespace {

class TapCasesReporter : public Catch::StreamingReporterBase {
public:
    using StreamingReporterBase::StreamingReporterBase;

    static std::string getDescription() { return "TAP, one line per test case"; }

    void assertionEnded(const Catch::AssertionStats& stats) override {
        const auto& result = stats.assertionResult;
        if (result.isOk()) return;
        failures_ << "# " << result.getSourceInfo().file << ':' << result.getSourceInfo().line << ": " << result.getExpressionInMacro();
        if (result.hasExpandedExpression()) failures_ << "\n#   with: " << one_line(result.getExpandedExpression());
        if (result.hasMessage()) failures_ << "\n#   message: " << one_line(std::string(result.getMessage()));
        for (const auto& info : stats.infoMessages) failures_ << "\n#   info: " << one_line(info.message);
        failures_ << '\n';
    }

    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        const auto& totals = stats.totals.testCases;
        m_stream << (totals.failed ? "not ok " : "ok ") << ++count_ << " - " << stats.testInfo->name;
        if (totals.skipped) m_stream << " # SKIP";
        m_stream << '\n' << failures_.str() << std::flush;
        failures_.str("");
    }

    void testRunEnded(const Catch::TestRunStats&) override { m_stream << "1.." << count_ << '\n' << std::flush; }

private:
    static std::string one_line(std::string text) {
        for (char& letter : text) {
            if (letter == '\n') letter = ' ';
        }
        return text;
    }

    unsigned count_ = 0;
    std::ostringstream failures_;
};

}  // namespace

CATCH_REGISTER_REPORTER("tap-cases", TapCasesReporter)
