// SPDX-License-Identifier: MIT
// What a shared library lets its users see; the rest is built hidden.
#pragma once

#define LABELSMOOTH_API __attribute__((visibility("default")))
