# SPDX-License-Identifier: MIT
# Run by the build: cmake -DCHART=... -DFOLDER=... -DOUT=... -P embed.cmake
# Writes the page's parts, with the hashes by which the page's policy admits them, and the words of explain and
# compare as one C++ file.
cmake_minimum_required(VERSION 3.25)

# 3 hexadecimal digits are 2 of base64; 64 digits end in one that is half empty.
function(policy_hash content out)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 hex "${content}")
  string(APPEND hex "00")
  set(text "")
  foreach(i RANGE 0 63 3)
    string(SUBSTRING "${hex}" ${i} 3 digits)
    math(EXPR high "0x${digits} >> 6")
    math(EXPR low "0x${digits} & 63")
    string(SUBSTRING "${alphabet}" ${high} 1 high)
    string(SUBSTRING "${alphabet}" ${low} 1 low)
    string(APPEND text "${high}${low}")
  endforeach()
  string(SUBSTRING "${text}" 0 43 text)
  set(${out} "'sha256-${text}='" PARENT_SCOPE)
endfunction()

set(literals "")
function(embed name path)
  file(READ "${path}" content)
  string(FIND "${content}" ")embed\"" clash)
  string(FIND "${content}" "</script" end)
  if(NOT clash EQUAL -1 OR (path MATCHES "\\.js$" AND NOT end EQUAL -1))
    message(FATAL_ERROR "${path} cannot be embedded as it is")
  endif()
  set(literals "${literals}const std::string_view ${name} = R\"embed(${content})embed\";\n" PARENT_SCOPE)
  set(content "${content}" PARENT_SCOPE)
endfunction()

embed(kChartJs "${CHART}")
policy_hash("${content}" chart_hash)
embed(kPageJs "${FOLDER}/page.js")
policy_hash("${content}" script_hash)
embed(kPageCss "${FOLDER}/page.css")
policy_hash("${content}" style_hash)
embed(kPageHtml "${FOLDER}/page.html")
embed(kStringsJson "${FOLDER}/strings.json")
embed(kExplainStringsJson "${FOLDER}/../explain/strings.json")
embed(kCompareStringsJson "${FOLDER}/../compare/strings.json")

file(WRITE "${OUT}" "// SPDX-License-Identifier: MIT
// Written by embed.cmake.
#include \"report/assets.h\"

namespace labelsmooth::assets {

${literals}const std::string_view kScriptHashes = \"${chart_hash} ${script_hash}\";
const std::string_view kStyleHash = \"${style_hash}\";

}  // namespace labelsmooth::assets
")
