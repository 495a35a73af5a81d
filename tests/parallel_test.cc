// SPDX-License-Identifier: MIT
#include "parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>  // waitpid
#include <unistd.h>    // fork, alarm

#include <atomic>   // std::atomic
#include <cstdlib>  // setenv
#include <thread>   // std::thread
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth {
namespace {

constexpr int64_t kLarge = int64_t{1} << 30;  // elements: never inline

std::vector<int> visits(int64_t tasks) {
  std::vector<int> count(static_cast<size_t>(tasks));
  parallel_for(tasks, kLarge, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++count[i];
  });
  return count;
}

TEST(ParallelFor, VisitsEveryTaskOnce) {
  for (const int count : {1, 2, 3, 8}) {
    set_threads(count);
    for (const int64_t tasks : {0, 1, 2, 7, 8, 9, 1000}) {
      EXPECT_EQ(visits(tasks), std::vector<int>(tasks, 1)) << count << " threads";
    }
  }
  set_threads(0);
}

TEST(ParallelFor, UsesSeveralThreads) {
  set_threads(4);
  std::mutex mutex;
  std::vector<std::thread::id> ids;
  parallel_for(4, kLarge, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    ids.push_back(std::this_thread::get_id());
  });
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()) - ids.begin(), 4);
  set_threads(0);
}

TEST(ParallelFor, SmallWorkAndNestedWorkRunInline) {
  set_threads(4);
  const auto caller = std::this_thread::get_id();
  parallel_for(4, 10, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(end - begin, 4);
  });
  parallel_for(4, kLarge, [&](int64_t, int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(4, kLarge, [&](int64_t, int64_t) { EXPECT_EQ(std::this_thread::get_id(), outer); });
  });
  set_threads(0);
}

TEST(ParallelFor, RethrowsAndGoesOn) {
  set_threads(3);
  for (int64_t bad = 0; bad < 3; ++bad) {
    EXPECT_THROW(parallel_for(3, kLarge,
                              [&](int64_t begin, int64_t) {
                                if (begin == bad) throw Error("body", "thrown");
                              }),
                 Error);
    EXPECT_EQ(visits(10), std::vector<int>(10, 1));
  }
  set_threads(0);
}

TEST(ParallelFor, TwoHostThreadsAtOnce) {
  set_threads(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> hosts;
  for (int host = 0; host < 2; ++host) {
    hosts.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        parallel_for(16, kLarge, [&](int64_t begin, int64_t end) { sum += end - begin; });
      }
    });
  }
  for (std::thread& host : hosts) host.join();
  EXPECT_EQ(sum, 2 * 200 * 16);
  set_threads(0);
}

// A DataLoader forks after the parent has used the pool; the child must neither hang nor lose work.
TEST(ParallelFor, WorksInAForkedChild) {
  set_threads(4);
  EXPECT_EQ(visits(100), std::vector<int>(100, 1));
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(visits(100) == std::vector<int>(100, 1) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(visits(100), std::vector<int>(100, 1));
  set_threads(0);
}

// In a process of its own, since the answer is kept.
TEST(Threads, FromTheEnvironment) {
  const auto threads_with = [](const char* value) {
    setenv("LABELSMOOTH_NUM_THREADS", value, 1);
    const pid_t child = fork();
    if (child == 0) {
      try {
        _exit(threads());
      } catch (const Error&) {
        _exit(100);
      }
    }
    unsetenv("LABELSMOOTH_NUM_THREADS");
    int status = -1;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(threads_with("7"), 7);
  EXPECT_EQ(threads_with("0"), 100);
  EXPECT_EQ(threads_with("many"), 100);
}

TEST(Threads, Bounds) {
  EXPECT_THROW(set_threads(-1), Error);
  EXPECT_THROW(set_threads(1025), Error);
  set_threads(7);
  EXPECT_EQ(threads(), 7);
  set_threads(0);
  EXPECT_GE(threads(), 1);
}

}  // namespace
}  // namespace labelsmooth
