// SPDX-License-Identifier: MIT
// The fixed parts of the page and the words of explain and compare, embedded by the build.
#pragma once

#include <string_view>  // std::string_view

namespace labelsmooth::assets {

extern const std::string_view kChartJs;  // Debian's libjs-chart.js
extern const std::string_view kPageJs, kPageCss, kPageHtml, kStringsJson;
extern const std::string_view kExplainStringsJson, kCompareStringsJson;
/// Sources of the content security policy, of exactly these bytes: Chart.js and page.js; page.css.
extern const std::string_view kScriptHashes, kStyleHash;

}  // namespace labelsmooth::assets
