# Compiler settings of our own builds. Users who embed the source may set FL_WERROR=OFF.
option(FL_WERROR "warnings are errors" ON)
option(FL_BUILD_TESTS "unit, CLI and package tests, benchmarks, examples" ON)
option(FL_FUZZ "libFuzzer targets (clang)" OFF)
set(FL_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(FL_COVERAGE "gcov instrumentation" OFF)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17) # src/cli/proto_schema.cc
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(fl_settings INTERFACE)
target_compile_definitions(fl_settings INTERFACE _GNU_SOURCE)
target_compile_options(fl_settings INTERFACE
  -Wall -Wextra -Wshadow -Wwrite-strings -Wundef -Wpointer-arith -Wvla -Wformat=2
  -fno-strict-aliasing -fno-common
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(FL_WERROR)
  target_compile_options(fl_settings INTERFACE -Werror)
endif()
if(FL_SANITIZE)
  target_compile_options(fl_settings INTERFACE -fsanitize=${FL_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(fl_settings INTERFACE -fsanitize=${FL_SANITIZE})
endif()
if(FL_FUZZ)
  target_compile_options(fl_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(FL_COVERAGE)
  target_compile_options(fl_settings INTERFACE --coverage)
  target_link_options(fl_settings INTERFACE --coverage)
endif()
