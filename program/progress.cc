// SPDX-License-Identifier: MIT
#include "progress.h"

#include <fmt/format.h>  // fmt::format, fmt::print
#include <sys/ioctl.h>   // TIOCGWINSZ
#include <unistd.h>      // isatty

#include <algorithm>  // std::clamp

namespace labelsmooth {
namespace {

int terminal_width() {
  winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + .5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::string what, double work, int64_t jobs, bool quiet)
    : what_(std::move(what)),
      work_(work),
      jobs_(jobs),
      quiet_(quiet),
      live_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  if (!quiet_ && live_) fmt::print(stderr, "\r\033[K");
}

void Progress::add(double work) {
  const std::lock_guard lock(mutex_);
  done_ += work;
  show(false);
}

void Progress::finish_job() {
  const std::lock_guard lock(mutex_);
  ++jobs_done_;
  show(jobs_done_ == jobs_);
}

void Progress::skip_job(double work) {
  const std::lock_guard lock(mutex_);
  skipped_ += work;
  ++jobs_done_;
}

void Progress::show(bool last) {
  const auto now = Clock::now();
  const auto pause = live_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
  if (quiet_ || (now - shown_ < pause && !last)) return;
  shown_ = now;
  if (live_) {
    fmt::print(stderr, "\r\033[K{}", line().substr(0, terminal_width() - 1));
  } else {
    fmt::print(stderr, "{}\n", line());
  }
  std::fflush(stderr);
}

std::string Progress::line() const {
  const double share = std::clamp((done_ + skipped_) / work_, 0., 1.);
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double left = done_ > 0 ? seconds * (work_ - done_ - skipped_) / done_ : 0;
  constexpr int kBar = 24;
  const auto filled = static_cast<size_t>(share * kBar);
  return fmt::format("[{}{}] {}/{} {}  {:3.0f} %  {} gone, about {} left", std::string(filled, '#'),
                     std::string(kBar - filled, '.'), jobs_done_, jobs_, what_, 100 * share,
                     clock_text(seconds), clock_text(std::max(0., left)));
}

}  // namespace labelsmooth
