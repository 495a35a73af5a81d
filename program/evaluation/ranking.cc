// SPDX-License-Identifier: MIT
#include "evaluation/ranking.h"

#include <algorithm>   // std::clamp, std::is_sorted, std::min
#include <cmath>       // std::ceil
#include <functional>  // std::greater
#include <limits>      // std::numeric_limits
#include <string>      // std::to_string
#include <utility>     // std::move

#include "evaluation/sorted_order.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The number of rows, at least `least`.
int64_t rows_of(const Items& items, int64_t least = 1) {
  const auto rows = static_cast<int64_t>(items.correct.size());
  if (rows < least || rows > std::numeric_limits<uint32_t>::max()) {
    throw Error("items", std::to_string(rows) + " rows, at least " + std::to_string(least) + " needed");
  }
  return rows;
}

/// The rows by score, the highest first, equal scores by row.
class Order {
 public:
  explicit Order(const Items& items) : size_(static_cast<size_t>(rows_of(items))) {
    if (!std::is_sorted(items.score.begin(), items.score.end(), std::greater()))
      rows_ = sorted_order(items.score, First::greatest);
  }
  size_t size() const { return size_; }
  uint32_t operator[](size_t n) const { return rows_.empty() ? static_cast<uint32_t>(n) : rows_[n]; }

 private:
  size_t size_;
  std::vector<uint32_t> rows_;  // none where they stand in that order
};

/// Calls body(n, errors among the n highest of `order`, row of rank n), n = 1..N.
template <class Body>
void each_coverage(const Items& items, const Order& order, const Body& body) {
  double errors = 0;
  for (size_t n = 1; n <= order.size(); ++n) {
    errors += 1 - items.correct[order[n - 1]];
    body(static_cast<int64_t>(n), errors, order[n - 1]);
  }
}

double aurc_of(const Items& items, const Order& order) {
  double sum = 0;
  each_coverage(items, order,
                [&](int64_t n, double errors, uint32_t) { sum += errors / static_cast<double>(n); });
  return sum / static_cast<double>(order.size());
}

/// The aurc of `rows` rows of which `wrong` are wrong and rank last.
double best_aurc(int64_t rows, double wrong) {
  double sum = 0;
  for (auto n = rows - static_cast<int64_t>(wrong) + 1; n <= rows; ++n) {
    const auto errors = wrong - static_cast<double>(rows - n);
    sum += errors / static_cast<double>(n);
  }
  return sum / static_cast<double>(rows);
}

double wrong_rows(const Items& items) {
  double wrong = 0;
  for (const double correct : items.correct) wrong += 1 - correct;
  return wrong;
}

/// For each row the rows of the other kind that it is on the right side of, equal scores 1/2.
struct Concordance {
  std::vector<double> wins;
  double right, wrong;  // how many rows
  double pairs;         // wins of the right rows
};

Concordance concordance(const Items& items) {
  const Order order(items);
  const size_t rows = order.size();
  Concordance result{std::vector<double>(rows), 0, 0, 0};
  for (const double correct : items.correct) result.right += correct;
  result.wrong = static_cast<double>(rows) - result.right;

  double right_above = 0, wrong_above = 0;
  for (size_t begin = 0, end = 0; begin < rows; begin = end) {
    double right = 0, wrong = 0;  // among the rows [begin, end) of one score
    for (; end < rows && items.score[order[end]] == items.score[order[begin]]; ++end) {
      (items.correct[order[end]] > 0 ? right : wrong) += 1;
    }
    const double wrong_below = result.wrong - wrong_above - wrong;
    for (size_t n = begin; n < end; ++n) {
      const uint32_t i = order[n];
      result.wins[i] = items.correct[i] > 0 ? wrong_below + wrong / 2 : right_above + right / 2;
    }
    result.pairs += right * (wrong_below + wrong / 2);
    right_above += right;
    wrong_above += wrong;
  }
  return result;
}

}  // namespace

void sort_by_score(Items& items) {
  const Order order(items);
  for (auto* column : {&items.score, &items.correct}) {
    std::vector<double> sorted;
    sorted.reserve(order.size());
    for (size_t n = 0; n < order.size(); ++n) sorted.push_back((*column)[order[n]]);
    *column = std::move(sorted);
  }
}

double aurc(const Items& items) { return aurc_of(items, Order(items)); }

double eaurc(const Items& items) {
  return aurc(items) - best_aurc(static_cast<int64_t>(items.correct.size()), wrong_rows(items));
}

double augrc(const Items& items) {
  double sum = 0;
  const Order order(items);
  each_coverage(items, order, [&](int64_t, double errors, uint32_t) { sum += errors; });
  const auto rows = static_cast<double>(order.size());
  return sum / (rows * rows);
}

double auroc(const Items& items) {
  const Concordance c = concordance(items);
  return c.right * c.wrong > 0 ? c.pairs / (c.right * c.wrong) : kNaN;
}

std::vector<RiskPoint> risk_coverage(const Items& items, int points) {
  if (points < 1) throw Error("points", std::to_string(points) + ", at least 1 is needed");
  const int64_t rows = rows_of(items);
  const Order order(items);
  const int64_t kept = std::min<int64_t>(points, rows);
  std::vector<RiskPoint> curve;
  int64_t k = 1;
  each_coverage(items, order, [&](int64_t n, double errors, uint32_t) {
    if (n != k * rows / kept) return;
    curve.push_back({static_cast<double>(n) / rows, errors / n});
    ++k;
  });
  return curve;
}

double accuracy_at(const Items& items, double coverage) {
  const int64_t rows = rows_of(items);
  const Order order(items);
  const auto kept = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(coverage * rows)), 1, rows);
  double right = 0;
  for (int64_t n = 0; n < kept; ++n) right += items.correct[order[n]];
  return right / static_cast<double>(kept);
}

double coverage_at(const Items& items, double risk) {
  const Order order(items);
  int64_t kept = 0;
  each_coverage(items, order, [&](int64_t n, double errors, uint32_t) {
    if (errors <= risk * static_cast<double>(n)) kept = n;
  });
  return static_cast<double>(kept) / static_cast<double>(order.size());
}

std::vector<double> aurc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const Order order(items);
  // Without the row of rank n, those before it keep their place and those after it move up by one:
  // (N - 1) theta(-n) = sum_{m < n} errors(m) / m + sum_{m > n} (errors(m) - [n is wrong]) / (m - 1)
  std::vector<double> pseudo(rows);  // the first sum, at first
  double before = 0, errors = 0;
  each_coverage(items, order, [&](int64_t n, double count, uint32_t i) {
    pseudo[i] = before;
    before += count / static_cast<double>(n);
    errors = count;
  });
  const double total = rows * aurc_of(items, order);
  double after = 0, share = 0;  // the second sum, apart: errors and 1 over m - 1
  for (int64_t n = rows; n > 0; --n) {
    const uint32_t i = order[n - 1];
    const double wrong = 1 - items.correct[i];
    pseudo[i] = total - (pseudo[i] + after - wrong * share);
    if (n == 1) break;
    after += errors / (n - 1);
    share += 1.0 / (n - 1);
    errors -= wrong;
  }
  return pseudo;
}

std::vector<double> eaurc_items(const Items& items) {
  std::vector<double> pseudo = aurc_items(items);
  const auto rows = static_cast<int64_t>(pseudo.size());
  const double wrong = wrong_rows(items), whole = best_aurc(rows, wrong) * static_cast<double>(rows);
  const auto less = static_cast<double>(rows - 1);
  const double without_right = less * best_aurc(rows - 1, std::min(wrong, less));
  const double without_wrong = wrong > 0 ? less * best_aurc(rows - 1, wrong - 1) : 0;
  for (int64_t i = 0; i < rows; ++i)
    pseudo[i] -= whole - (items.correct[i] > 0 ? without_right : without_wrong);
  return pseudo;
}

std::vector<double> augrc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const Order order(items);
  // N^2 theta = sum over the wrong rows of N - rank + 1. Without the row of rank n its own term goes, if it
  // is wrong, and every wrong row before it loses one.
  double total = 0;
  each_coverage(items, order, [&](int64_t, double errors, uint32_t) { total += errors; });
  std::vector<double> pseudo(rows);
  each_coverage(items, order, [&](int64_t n, double errors, uint32_t i) {
    const double wrong = 1 - items.correct[i];
    const double without = total - wrong * (rows - n + 1) - (errors - wrong);
    pseudo[i] = total / rows - without / (rows - 1);
  });
  return pseudo;
}

std::vector<double> auroc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const Concordance c = concordance(items);
  if (c.right < 2 || c.wrong < 2) return std::vector<double>(rows, kNaN);
  const double theta = c.pairs / (c.right * c.wrong);
  std::vector<double> pseudo(rows);
  for (int64_t i = 0; i < rows; ++i) {
    const double correct = items.correct[i];
    const double without = (c.pairs - c.wins[i]) / ((c.right - correct) * (c.wrong - (1 - correct)));
    pseudo[i] = rows * theta - (rows - 1) * without;
  }
  return pseudo;
}

}  // namespace labelsmooth
