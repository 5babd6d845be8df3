# One static library per room, linked only with the rooms that ARCHITECTURE.md's table lets it know:
# an arrow that the table does not have is a missing symbol here and a failing test in
# tests/package/includes.py.
include(cmake/descriptors.cmake)
include(cmake/sources.cmake)

function(fl_room name)
  cmake_parse_arguments(ROOM "" "" "ROOMS;LIBRARIES" ${ARGN})
  add_library(fl_${name} STATIC ${FL_SOURCES_${name}})
  target_include_directories(fl_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
  target_link_libraries(fl_${name} PRIVATE fl_settings ${ROOM_LIBRARIES})
  foreach(room ${ROOM_ROOMS})
    target_link_libraries(fl_${name} PUBLIC fl_${room})
  endforeach()
endfunction()

configure_file(include/fairlead/version.h.in include/fairlead/version.h @ONLY)

fl_room(base LIBRARIES Threads::Threads)
fl_room(wire ROOMS base LIBRARIES PkgConfig::JANSSON PkgConfig::YAML PkgConfig::ZLIB)
fl_room(loop ROOMS base LIBRARIES PkgConfig::UV PkgConfig::OPENSSL PkgConfig::CARES Threads::Threads)
fl_room(http ROOMS base wire LIBRARIES PkgConfig::NGHTTP2 fl_llhttp)
fl_room(admin ROOMS base http)
fl_room(kube ROOMS base wire http LIBRARIES PkgConfig::JANSSON)
fl_room(discovery ROOMS base)
fl_room(balance ROOMS base)
fl_room(channel ROOMS base wire http discovery balance LIBRARIES PkgConfig::JANSSON)
fl_room(server ROOMS base wire http)
fl_descriptors(fl_server server ${PROJECT_SOURCE_DIR}/src/server/proto
  grpc/examples/echo/echo.proto
  grpc/health/v1/health.proto
  grpc/reflection/v1/reflection.proto
  grpc/reflection/v1alpha/reflection.proto
  helloworld/helloworld.proto)
fl_room(registry ROOMS base wire http kube channel discovery)
fl_room(manager ROOMS base discovery registry channel)
fl_room(sim ROOMS base wire http kube discovery channel registry server LIBRARIES PkgConfig::JANSSON)

set(FL_LIBRARY_ROOMS base wire loop http admin kube discovery balance channel registry manager)
