// SPDX-License-Identifier: MIT
#include "progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>        // openpty
#include <sys/ioctl.h>  // winsize
#include <unistd.h>     // dup, dup2, close, read, write

#include <algorithm>  // std::count
#include <chrono>     // std::chrono::milliseconds
#include <string>     // std::string
#include <thread>     // std::this_thread::sleep_for

namespace labelsmooth {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

template <class Work>
std::string stderr_of(const Work& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

// A bare chroot has no devpts; everywhere else this holds.
bool has_terminal() {
  int master, slave;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return false;
  close(slave);
  close(master);
  return true;
}

// What `work` writes on a terminal `columns` wide. It must fit in the terminal's buffer, about 4 KiB.
template <class Work>
std::string terminal_of(unsigned short columns, const Work& work) {
  int master, slave;
  const winsize size = {24, columns, 0, 0};
  if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) return "no terminal";
  const int before = dup(STDERR_FILENO);
  dup2(slave, STDERR_FILENO);
  work();
  dup2(before, STDERR_FILENO);
  close(before);
  // A terminal hands over in its own time: read up to a mark.
  constexpr char kMark = '\x01';
  if (write(slave, &kMark, 1) != 1) return "no mark";
  std::string text;
  for (char next = 0; read(master, &next, 1) == 1 && next != kMark;) text.push_back(next);
  close(slave);
  close(master);
  return text;
}

void two_jobs(bool quiet) {
  Progress progress("runs", 10, 2, quiet);
  progress.add(5);
  progress.finish_job();
  progress.add(5);
  progress.finish_job();
}

TEST(Progress, OnAFileOnlyTheEndOfShortWork) {
  const std::string text = stderr_of([] { two_jobs(false); });
  EXPECT_THAT(text, StartsWith("[########################] 2/2 runs  100 %  0:00 gone, about 0:00 left\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, QuietIsSilent) {
  EXPECT_EQ(stderr_of([] { two_jobs(true); }), "");
  if (!has_terminal()) GTEST_SKIP() << "no pseudo-terminal here";
  EXPECT_EQ(terminal_of(80, [] { two_jobs(true); }), "");
}

TEST(Progress, BarAndShareAreThoseOfTheWork) {
  EXPECT_THAT(stderr_of([] {
                Progress progress("runs", 8, 1, false);
                progress.add(1);
                progress.add(1);
                progress.finish_job();
              }),
              StartsWith("[######..................] 1/1 runs   25 %"));
}

TEST(Progress, MoreWorkThanPromisedStaysInTheBar) {
  EXPECT_THAT(stderr_of([] {
                Progress progress("runs", 8, 1, false);
                progress.add(9);
                progress.finish_job();
              }),
              StartsWith("[########################] 1/1 runs  100 %  0:00 gone, about 0:00 left"));
}

TEST(Progress, SkippedJobsCountAsDone) {
  EXPECT_THAT(stderr_of([] {
                Progress progress("runs", 4, 2, false);
                progress.skip_job(2);
                progress.add(1);
                progress.finish_job();
              }),
              StartsWith("[##################......] 2/2 runs   75 %"));
}

// 2 of 4 were skipped and 1 took the time so far: as much again is left, and not a third of it.
TEST(Progress, SkippedJobsSayNothingOfTheSpeed) {
  EXPECT_THAT(stderr_of([] {
                Progress progress("runs", 4, 2, false);
                progress.skip_job(2);
                std::this_thread::sleep_for(std::chrono::milliseconds(1600));
                progress.add(1);
                progress.finish_job();
              }),
              ::testing::Not(HasSubstr("about 0:00 left")));
}

TEST(Progress, ALiveLineFitsTheTerminalAndIsCleared) {
  if (!has_terminal()) GTEST_SKIP() << "no pseudo-terminal here";
  const std::string text = terminal_of(40, [] { two_jobs(false); });
  ASSERT_THAT(text, StartsWith("\r\033[K[####"));
  EXPECT_THAT(text, EndsWith("\r\033[K"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const size_t begin = text.find('['), end = text.find('\r', 1);
  EXPECT_EQ(text.substr(begin + 2, end - begin - 2).size(), 39);  // behind ESC [ K
}

}  // namespace
}  // namespace labelsmooth
