// SPDX-License-Identifier: MIT
// The progress of long work on stderr: one live line on a terminal, a plain line every ten seconds elsewhere.
#pragma once

#include <chrono>   // std::chrono::steady_clock
#include <cstdint>  // int64_t
#include <mutex>    // std::mutex
#include <string>   // std::string

namespace labelsmooth {

/// Thread-safe. The destructor clears the live line.
class Progress {
 public:
  /// `work` in any unit, spread over `jobs` that people count, such as "runs".
  Progress(std::string what, double work, int64_t jobs, bool quiet);
  ~Progress();
  void add(double work);
  void finish_job();
  void skip_job(double work);  // done before: counts, but says nothing of the speed

 private:
  void show(bool last);
  std::string line() const;

  using Clock = std::chrono::steady_clock;
  const std::string what_;
  const double work_;
  const int64_t jobs_;
  const bool quiet_, live_;
  const Clock::time_point start_;
  Clock::time_point shown_;
  double done_ = 0, skipped_ = 0;
  int64_t jobs_done_ = 0;
  std::mutex mutex_;
};

}  // namespace labelsmooth
