// SPDX-License-Identifier: MIT
// CalibrationStats and the temperature for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace labelsmooth::python {

void bind_calibration(nanobind::module_& m);

}  // namespace labelsmooth::python
