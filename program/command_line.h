// SPDX-License-Identifier: MIT
// What the verbs' command lines share: the validators, and options that several of them have.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>      // std::from_chars
#include <cstdint>       // int64_t
#include <string>        // std::string
#include <system_error>  // std::errc

#include "labelsmooth/parallel.h"

namespace labelsmooth {

inline constexpr const char* kRules = "none, uniform, others, flip or additive";

/// The footer of verbs that read arrays.
inline constexpr const char* kFiles =
    "files to read: .npy, .csv, .npz and .safetensors (FILE:NAME, or FILE if it holds one array); "
    "- is a .npy on standard input";

inline const CLI::Validator kUnit = CLI::Validator(
    [](std::string& text) {
      double value;
      const bool good = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1;
      return good ? std::string() : "'" + text + "' found, 0 to 1 is allowed";
    },
    "0..1");

inline const CLI::Validator kNonNegative = CLI::Validator(
    [](std::string& text) {
      double value;
      const bool good = CLI::detail::lexical_cast(text, value) && value >= 0 && value < 1e9;
      return good ? std::string() : "'" + text + "' found, finite values from 0 are allowed";
    },
    ">=0");

/// CLI11 itself would wrap a negative seed, and saturate what does not fit in 64 bits.
inline CLI::Validator at_least(int64_t least) {
  return {[least](std::string& text) {
            int64_t value;
            const char* last = text.data() + text.size();
            const auto [end, error] = std::from_chars(text.data(), last, value);
            const bool good = error == std::errc() && end == last && value >= least;
            return good ? std::string()
                        : "'" + text + "' found, integers from " + std::to_string(least) + " are allowed";
          },
          "INT"};
}

/// A list such as 0,.05,.1.
template <class T>
CLI::Option* add_list(CLI::App* verb, const std::string& name, T& list, const std::string& help) {
  return verb->add_option(name, list, help)->delimiter(',');
}

inline void add_threads(CLI::App* verb) {
  verb->add_option_function<int>("--threads", set_threads, "threads to use")->check(CLI::Range(1, 1024));
}

}  // namespace labelsmooth
