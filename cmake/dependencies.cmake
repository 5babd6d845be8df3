# Libraries under ours, as the distribution packages them. Nothing third-party is in the tree.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares>=1.18)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1>=0.2.5)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.11)
pkg_check_modules(PROTOBUF REQUIRED IMPORTED_TARGET protobuf>=3.21) # of the command alone
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4) # of an example and a test
pkg_check_modules(XXHASH REQUIRED libxxhash>=0.8) # its header alone: XXH_INLINE_ALL

# llhttp: a packaged library where there is one, else the C sources that Debian's node-llhttp ships.
pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp)
add_library(fl_llhttp INTERFACE)
if(LLHTTP_FOUND)
  target_link_libraries(fl_llhttp INTERFACE PkgConfig::LLHTTP)
  set(FL_LLHTTP_OBJECTS)
else()
  find_path(FL_LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp REQUIRED)
  find_path(FL_LLHTTP_INCLUDE llhttp/llhttp.h PATHS /usr/share/include REQUIRED)
  add_library(fl_llhttp_objects OBJECT
    ${FL_LLHTTP_SOURCE}/llhttp.c ${FL_LLHTTP_SOURCE}/http.c ${FL_LLHTTP_SOURCE}/api.c)
  target_include_directories(fl_llhttp_objects SYSTEM PUBLIC
    ${FL_LLHTTP_INCLUDE} ${FL_LLHTTP_INCLUDE}/llhttp)
  target_compile_options(fl_llhttp_objects PRIVATE -w)
  # The default skips what stands where a chunk's CRLF must; a proxy in front may not.
  target_compile_definitions(fl_llhttp_objects PRIVATE LLHTTP_STRICT_MODE=1)
  target_include_directories(fl_llhttp SYSTEM INTERFACE
    ${FL_LLHTTP_INCLUDE} ${FL_LLHTTP_INCLUDE}/llhttp)
  target_sources(fl_llhttp INTERFACE $<TARGET_OBJECTS:fl_llhttp_objects>)
  set(FL_LLHTTP_OBJECTS $<TARGET_OBJECTS:fl_llhttp_objects>)
endif()
