# libfairlead (shared and static), the binary, and what installs them.
set(objects ${FL_LLHTTP_OBJECTS})
foreach(room ${FL_LIBRARY_ROOMS})
  list(APPEND objects $<TARGET_OBJECTS:fl_${room}>)
endforeach()
set(FL_DEPENDENCIES PkgConfig::UV PkgConfig::OPENSSL PkgConfig::NGHTTP2 PkgConfig::CARES
  PkgConfig::JANSSON PkgConfig::YAML PkgConfig::ZLIB Threads::Threads)

foreach(kind SHARED STATIC)
  string(TOLOWER fairlead_${kind} target)
  add_library(${target} ${kind} ${objects})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME fairlead LINKER_LANGUAGE C
    EXPORT_NAME ${target})
  target_link_libraries(${target} PRIVATE fl_settings ${FL_DEPENDENCIES})
  target_include_directories(${target} INTERFACE
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
endforeach()
# Only what the installed headers mark FL_API leaves the shared library; tests/package/exports.txt is
# the tested list.
set_target_properties(fairlead_shared PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(fairlead_shared PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)

add_executable(fairlead ${FL_SOURCES_cli})
target_link_libraries(fairlead PRIVATE fl_settings fl_sim fl_registry fl_admin fl_loop PkgConfig::JANSSON
  PkgConfig::PROTOBUF PkgConfig::YAML)

# Manual pages and completions come from the binary's own tables.
set(FL_DOCUMENTS ${PROJECT_BINARY_DIR}/documents)
add_custom_command(OUTPUT ${FL_DOCUMENTS}/completions/fairlead
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/documents $<TARGET_FILE:fairlead> ${FL_DOCUMENTS}
  DEPENDS fairlead scripts/documents)
add_custom_target(documents ALL DEPENDS ${FL_DOCUMENTS}/completions/fairlead)
install(DIRECTORY ${FL_DOCUMENTS}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${FL_DOCUMENTS}/completions/fairlead
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${FL_DOCUMENTS}/completions/_fairlead
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${FL_DOCUMENTS}/completions/fairlead.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(TARGETS fairlead_shared fairlead_static EXPORT fairlead)
install(TARGETS fairlead)
install(DIRECTORY include/fairlead ${PROJECT_BINARY_DIR}/include/fairlead
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# The libraries that a static link needs besides ours, for pkg-config and the CMake package alike.
set(FL_REQUIRES_PRIVATE "libuv openssl libnghttp2 libcares jansson yaml-0.1 zlib")
# The prefix is where the file is: `make install PREFIX=...` chooses it after the build.
file(RELATIVE_PATH FL_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" FL_PREFIX_FROM_PC "${FL_PREFIX_FROM_PC}")
configure_file(cmake/fairlead.pc.in fairlead.pc @ONLY)
include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/fairlead-config.cmake.in fairlead-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fairlead
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fairlead-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fairlead.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/fairlead-config.cmake
  ${PROJECT_BINARY_DIR}/fairlead-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fairlead)
