# The one list of sources, a room after the other (see ARCHITECTURE.md), alphabetical.
set(FL_SOURCES_base
  src/base/version.c)
set(FL_SOURCES_wire)
set(FL_SOURCES_loop)
set(FL_SOURCES_http)
set(FL_SOURCES_kube)
set(FL_SOURCES_discovery)
set(FL_SOURCES_channel)
set(FL_SOURCES_registry)
set(FL_SOURCES_sim)
set(FL_SOURCES_cli
  src/cli/main.c)
