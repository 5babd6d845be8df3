# fl_descriptors(TARGET NAME ROOT file.proto…): compiles the files, named relative to ROOT, into one
# FileDescriptorSet and gives it to TARGET as the bytes fl_descriptors_NAME (FL_DESCRIPTORS in
# src/server/reflection.h declares them).
find_program(PROTOC protoc REQUIRED)

function(fl_descriptors target name root)
  set(set ${PROJECT_BINARY_DIR}/descriptors/${name}.pb)
  set(source ${PROJECT_BINARY_DIR}/descriptors/${name}.c)
  set(embed ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  list(TRANSFORM ARGN PREPEND ${root}/ OUTPUT_VARIABLE protos)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/descriptors)
  add_custom_command(OUTPUT ${source} BYPRODUCTS ${set}
    COMMAND ${PROTOC} --proto_path=${root} --descriptor_set_out=${set} ${ARGN}
    COMMAND ${CMAKE_COMMAND} -D FROM=${set} -D TO=${source} -D NAME=fl_descriptors_${name} -P ${embed}
    DEPENDS ${protos} ${embed}
    VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
