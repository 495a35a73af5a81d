// SPDX-License-Identifier: MIT
#include "parallel.h"

#include <pthread.h>  // pthread_atfork
#include <sched.h>    // sched_getaffinity

#include <algorithm>           // std::clamp, std::min
#include <atomic>              // std::atomic
#include <condition_variable>  // std::condition_variable
#include <cstdlib>             // std::getenv, std::strtol
#include <exception>           // std::exception_ptr
#include <fstream>             // std::ifstream
#include <mutex>               // std::mutex
#include <string>              // std::string
#include <system_error>        // std::system_error
#include <thread>              // std::thread
#include <utility>             // std::move
#include <vector>              // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int64_t kInlineElements = 1 << 16;  // below it, waking a thread costs more than the work

// Sleeping workers that each take one range of the current job.
class Pool {
 public:
  // Goes on with the threads that the system grants.
  explicit Pool(int workers) {
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this, i] { work(i + 1); });
    } catch (const std::system_error&) {
    }
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  int workers() const { return static_cast<int>(threads_.size()); }

  void run(int64_t tasks, int parts, const Body& body) {
    {
      const std::lock_guard lock(mutex_);
      body_ = &body;
      tasks_ = tasks;
      parts_ = parts;
      running_ = parts - 1;
      error_ = nullptr;
      ++job_;
    }
    wake_.notify_all();
    take_part(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_part(int part) {
    try {
      (*body_)(tasks_* part / parts_, tasks_ * (part + 1) / parts_);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
  }

  void work(int part) {
    int64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || job_ != seen; });
        if (stop_) return;
        seen = job_;
        if (part >= parts_) continue;
      }
      take_part(part);
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const Body* body_ = nullptr;
  int64_t tasks_ = 0, job_ = 0;
  int parts_ = 1, running_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
};

// Busy while a call uses the pool; another caller, or a call inside a body, then runs inline.
struct Owner {
  std::atomic_flag busy;
  Pool* pool = nullptr;
};
// Never destroyed, and ready before any other file's static initialisers: calls may come before and after
// main.
constinit Owner first_owner;
constinit Owner* owner = &first_owner;

// After fork the child has the pool's memory but not its threads: it forgets the pool and makes a new one.
void forget_pool() { owner = new Owner; }

int read_cgroup_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // "max 100000" or "150000 100000"
  double quota, period;
  if (!(file >> quota >> period) || period <= 0) return kMaxThreads;
  return std::max(1, static_cast<int>(quota / period));
}

int default_threads() {
  if (const char* text = std::getenv("LABELSMOOTH_NUM_THREADS"); text != nullptr && *text != 0) {
    char* end;
    const long value = std::strtol(text, &end, 10);
    if (*end != 0 || value < 1 || value > kMaxThreads) {
      throw Error("LABELSMOOTH_NUM_THREADS", std::string("'") + text + "' found, 1 to 1024 is allowed");
    }
    return static_cast<int>(value);
  }
  cpu_set_t set;
  const int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::clamp(std::min(affinity, read_cgroup_quota()), 1, kMaxThreads);
}

std::atomic<int> set_count{0};

thread_local const ParallelFor* host_threads = nullptr;

// The host may be C: no exception passes through it. Ranges that overlap or miss some would be wrong results.
void run_on_host(int64_t tasks, const Body& body) {
  std::mutex mutex;
  std::exception_ptr error;
  std::atomic<int64_t> covered{0};
  (*host_threads)(tasks, [&](int64_t begin, int64_t end) {
    if (begin < 0 || end > tasks || begin > end) return;
    try {
      body(begin, end);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
    covered += end - begin;
  });
  if (error) std::rethrow_exception(error);
  if (covered != tasks)
    throw Error("parallel_for", std::to_string(covered) + " of " + std::to_string(tasks) + " tasks were run");
}

}  // namespace

int threads() {
  const int count = set_count.load();
  if (count > 0) return count;
  static const int by_default = default_threads();
  return by_default;
}

void set_threads(int count) {
  if (count < 0 || count > kMaxThreads) {
    throw Error("threads", std::to_string(count) + " found, 0 to 1024 is allowed");
  }
  set_count.store(count);
}

HostThreads::HostThreads(ParallelFor parallel_for)
    : parallel_for_(std::move(parallel_for)), outer_(host_threads) {
  host_threads = &parallel_for_;
}
HostThreads::~HostThreads() { host_threads = outer_; }

void parallel_for(int64_t tasks, int64_t elements, const Body& body) {
  if (host_threads != nullptr && tasks > 1 && elements > kInlineElements) return run_on_host(tasks, body);
  static const bool once = (pthread_atfork(nullptr, nullptr, forget_pool), true);
  (void)once;
  const int wanted = static_cast<int>(std::min<int64_t>(threads(), tasks));
  Owner& mine = *owner;
  if (wanted < 2 || elements <= kInlineElements || mine.busy.test_and_set(std::memory_order_acquire)) {
    if (tasks > 0) body(0, tasks);
    return;
  }
  const struct Release {
    Owner& owner;
    ~Release() { owner.busy.clear(std::memory_order_release); }
  } release{mine};
  if (mine.pool == nullptr || mine.pool->workers() < wanted - 1) {
    delete mine.pool;
    mine.pool = nullptr;  // stays so if there is no memory for the new one
    mine.pool = new Pool(wanted - 1);
  }
  mine.pool->run(tasks, std::min(wanted, mine.pool->workers() + 1), body);
}

}  // namespace labelsmooth
