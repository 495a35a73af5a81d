# SPDX-License-Identifier: MIT
# What an installed tree holds: headers, the library, and how cmake and pkg-config find it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS labelsmooth EXPORT labelsmooth-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/labelsmooth DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# ---- find_package(labelsmooth CONFIG)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/labelsmooth)
install(EXPORT labelsmooth-targets NAMESPACE labelsmooth:: DESTINATION ${package})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/labelsmooth-config.cmake.in
  ${PROJECT_BINARY_DIR}/generated/labelsmooth-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/labelsmooth-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/labelsmooth-config.cmake
  ${PROJECT_BINARY_DIR}/generated/labelsmooth-config-version.cmake DESTINATION ${package})

# ---- pkg-config labelsmooth: the tree may be moved. An archive names what it needs, a shared library knows it.
file(RELATIVE_PATH LABELSMOOTH_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
if(NOT BUILD_SHARED_LIBS)
  set(LABELSMOOTH_REQUIRES "Requires: libhwy")
  set(LABELSMOOTH_SYSTEM_LIBS " -lstdc++ -lm -pthread")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/labelsmooth.pc.in ${PROJECT_BINARY_DIR}/generated/labelsmooth.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/labelsmooth.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
