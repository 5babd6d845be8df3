# The unit tests, a room after the other.
fl_unit_test(base_address ROOMS base)
fl_unit_test(base_alloc ROOMS base)
fl_unit_test(base_backoff ROOMS base)
fl_unit_test(base_block ROOMS base)
fl_unit_test(base_block_edit ROOMS base)
fl_unit_test(base_block_forms ROOMS base)
fl_unit_test(base_buf ROOMS base)
fl_unit_test(base_error ROOMS base)
fl_unit_test(base_intern ROOMS base)
fl_unit_test(base_log ROOMS base LIBRARIES PkgConfig::JANSSON)
fl_unit_test(base_map ROOMS base)
fl_unit_test(base_metrics ROOMS base)
fl_unit_test(base_str ROOMS base)
fl_unit_test(base_timer ROOMS base)

fl_unit_test(wire_grpc ROOMS wire)
fl_unit_test(wire_json ROOMS wire)
fl_unit_test(wire_k8s ROOMS wire SOURCES unit/support/k8s_bed.c)
fl_unit_test(wire_k8s_bad ROOMS wire SOURCES unit/support/k8s_bed.c)
fl_unit_test(wire_k8s_reuse ROOMS wire SOURCES unit/support/k8s_bed.c)
fl_unit_test(wire_pb ROOMS wire)
fl_unit_test(wire_yaml ROOMS wire LIBRARIES PkgConfig::JANSSON)

fl_unit_test(loop_area ROOMS loop
  SOURCES unit/support/loop_peer.c unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(loop_certificate ROOMS loop LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(loop_eyeballs ROOMS loop)
fl_unit_test(loop_file ROOMS loop SOURCES unit/support/loop_peer.c)
fl_unit_test(loop_process ROOMS loop SOURCES unit/support/loop_peer.c)
fl_unit_test(loop_proxy ROOMS loop)
fl_unit_test(loop_resolve ROOMS loop SOURCES unit/support/loop_peer.c)
fl_unit_test(loop_runtime ROOMS loop SOURCES unit/support/loop_peer.c LIBRARIES PkgConfig::UV)
fl_unit_test(loop_sock ROOMS loop SOURCES unit/support/loop_peer.c)
fl_unit_test(loop_system ROOMS loop SOURCES unit/support/loop_peer.c)
fl_unit_test(loop_tls ROOMS loop SOURCES unit/support/tls_bed.c unit/support/loop_peer.c
  unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(loop_tls_session ROOMS loop SOURCES unit/support/loop_certs.c
  LIBRARIES PkgConfig::OPENSSL PkgConfig::UV)
fl_unit_test(loop_tls_trust ROOMS loop SOURCES unit/support/tls_bed.c unit/support/loop_peer.c
  unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(loop_tunnel ROOMS loop
  SOURCES unit/support/loop_peer.c unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)

fl_unit_test(http_flood ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h1 ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h1_client ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h1_server ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h2 ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h2_flow ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h2_hostile ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_h2_life ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_loop ROOMS http loop
  SOURCES unit/support/loop_certs.c unit/support/loop_peer.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(http_memory ROOMS http sim SOURCES unit/support/http_bed.c)
fl_unit_test(http_pool ROOMS http sim SOURCES unit/support/http_bed.c unit/support/pool_bed.c)
fl_unit_test(http_pool_retry ROOMS http sim
  SOURCES unit/support/http_bed.c unit/support/pool_bed.c)

fl_unit_test(admin_admin ROOMS admin sim)
fl_unit_test(admin_threads ROOMS admin loop LIBRARIES Threads::Threads)

fl_unit_test(kube_audit ROOMS kube)
fl_unit_test(kube_certificates ROOMS kube sim SOURCES unit/support/client_bed.c)
fl_unit_test(kube_cleartext ROOMS kube sim SOURCES unit/support/client_bed.c)
fl_unit_test(kube_client ROOMS kube sim SOURCES unit/support/client_bed.c LIBRARIES PkgConfig::ZLIB)
fl_unit_test(kube_config ROOMS kube sim SOURCES unit/support/config_bed.c)
fl_unit_test(kube_config_files ROOMS kube sim SOURCES unit/support/config_bed.c)
fl_unit_test(kube_credentials ROOMS kube sim SOURCES unit/support/client_bed.c)
fl_unit_test(kube_exec ROOMS kube LIBRARIES PkgConfig::ZLIB)
fl_unit_test(kube_listwatch ROOMS kube sim)
fl_unit_test(kube_outage ROOMS kube SOURCES unit/support/reflector_bed.c)
fl_unit_test(kube_pace ROOMS kube SOURCES unit/support/reflector_bed.c)
fl_unit_test(kube_plugin ROOMS kube sim SOURCES unit/support/client_bed.c)
fl_unit_test(kube_proxy ROOMS kube sim)
fl_unit_test(kube_reflector ROOMS kube SOURCES unit/support/reflector_bed.c)
fl_unit_test(kube_reflector_relist ROOMS kube SOURCES unit/support/reflector_bed.c)
fl_unit_test(kube_reflector_watch ROOMS kube SOURCES unit/support/reflector_bed.c)
fl_unit_test(kube_store ROOMS kube)
fl_unit_test(kube_tls ROOMS kube loop
  SOURCES unit/support/loop_peer.c unit/support/loop_certs.c)
fl_unit_test(kube_stream ROOMS kube SOURCES unit/support/reflector_bed.c)

fl_unit_test(discovery_diff ROOMS discovery SOURCES unit/support/sets.c)
fl_unit_test(discovery_diff_plain ROOMS discovery SOURCES unit/support/sets.c)
fl_unit_test(discovery_hub ROOMS discovery sim
  SOURCES unit/support/hub_bed.c unit/support/fake_provider.c unit/support/sets.c)
fl_unit_test(discovery_life ROOMS discovery sim
  SOURCES unit/support/hub_bed.c unit/support/fake_provider.c unit/support/sets.c)
fl_unit_test(discovery_names ROOMS discovery sim
  SOURCES unit/support/hub_bed.c unit/support/fake_provider.c unit/support/sets.c)
fl_unit_test(discovery_set ROOMS discovery SOURCES unit/support/sets.c)
fl_unit_test(discovery_snapshot ROOMS discovery sim
  SOURCES unit/support/fake_provider.c unit/support/sets.c)
fl_unit_test(discovery_threads ROOMS discovery loop
  SOURCES unit/support/fake_provider.c unit/support/sets.c LIBRARIES Threads::Threads)

fl_unit_test(balance_outlier ROOMS balance)
fl_unit_test(balance_policies ROOMS balance)
fl_unit_test(balance_round_robin ROOMS balance)
fl_unit_test(balance_subset ROOMS balance)
fl_unit_test(balance_zone ROOMS balance)

fl_unit_test(channel_bad_peer ROOMS sim SOURCES unit/support/bed.c unit/support/frame_peer.c
  unit/support/hand_provider.c unit/support/peer.c)
fl_unit_test(channel_blocking ROOMS registry server loop LIBRARIES Threads::Threads)
fl_unit_test(channel_call ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_credentials ROOMS channel loop
  SOURCES unit/support/loop_peer.c unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(channel_drain ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_handle ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_health ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_health_check ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_health_verdict ROOMS channel)
fl_unit_test(channel_http2_interop ROOMS sim SOURCES unit/support/bed.c unit/support/frame_peer.c
  unit/support/hand_provider.c unit/support/peer.c)
fl_unit_test(channel_idle ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_inbox ROOMS channel LIBRARIES Threads::Threads)
fl_unit_test(channel_keepalive ROOMS sim SOURCES unit/support/bed.c unit/support/frame_peer.c
  unit/support/hand_provider.c unit/support/peer.c)
fl_unit_test(channel_metrics ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_pick ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_options ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_protobuf_c ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c LIBRARIES PkgConfig::PROTOBUF_C)
fl_unit_test(channel_reply ROOMS channel)
fl_unit_test(channel_request ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c unit/support/site.c)
fl_unit_test(channel_retry ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_service_config ROOMS channel)
fl_unit_test(channel_show ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c LIBRARIES PkgConfig::JANSSON)
fl_unit_test(channel_stream ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_stream_frames ROOMS sim SOURCES unit/support/bed.c unit/support/frame_peer.c
  unit/support/hand_provider.c unit/support/peer.c)
fl_unit_test(channel_subchannel ROOMS sim SOURCES unit/support/peer.c)
fl_unit_test(channel_threads ROOMS registry server loop LIBRARIES Threads::Threads)
fl_unit_test(channel_wait ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_wanted ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c)
fl_unit_test(channel_tls ROOMS registry loop
  SOURCES unit/support/loop_peer.c unit/support/loop_certs.c LIBRARIES PkgConfig::OPENSSL)
fl_unit_test(channel_widen ROOMS sim SOURCES unit/support/bed.c unit/support/frame_peer.c
  unit/support/hand_provider.c unit/support/peer.c)

fl_unit_test(server_calls ROOMS sim SOURCES unit/support/server_bed.c)
fl_unit_test(server_compression ROOMS sim SOURCES unit/support/server_bed.c)
fl_unit_test(server_health_service ROOMS sim SOURCES unit/support/server_bed.c)
fl_unit_test(server_interop ROOMS sim SOURCES unit/support/server_bed.c interop/interop_service.c
  interop/interop_message.c)
target_include_directories(server_interop_test PRIVATE .)
fl_unit_test(server_limits ROOMS sim SOURCES unit/support/server_bed.c)
fl_unit_test(server_reflection ROOMS sim SOURCES unit/support/server_bed.c)
fl_unit_test(server_stream ROOMS sim SOURCES unit/support/server_bed.c)

fl_unit_test(cli_reflect ROOMS sim SOURCES unit/support/bed.c unit/support/hand_provider.c
  unit/support/peer.c ${PROJECT_SOURCE_DIR}/src/cli/reflect.c
  ${PROJECT_SOURCE_DIR}/src/cli/proto_schema.cc LIBRARIES PkgConfig::PROTOBUF)

fl_unit_test(registry_endpoints ROOMS registry sim SOURCES unit/support/kube_bed.c)
fl_unit_test(registry_freshness ROOMS registry sim SOURCES unit/support/kube_bed.c)
fl_unit_test(registry_hold ROOMS registry SOURCES unit/support/sets.c)
fl_unit_test(registry_kubernetes ROOMS registry sim SOURCES unit/support/kube_bed.c)
fl_unit_test(registry_reach ROOMS registry sim SOURCES unit/support/kube_bed.c)
fl_unit_test(registry_static ROOMS registry sim SOURCES unit/support/sets.c)
fl_unit_test(registry_trouble ROOMS registry sim SOURCES unit/support/kube_bed.c)

fl_unit_test(manager_conn ROOMS manager sim
  SOURCES unit/support/kube_bed.c unit/support/manager_bed.c)
fl_unit_test(manager_conns ROOMS manager sim
  SOURCES unit/support/kube_bed.c unit/support/manager_bed.c)
fl_unit_test(manager_log ROOMS manager sim
  SOURCES unit/support/kube_bed.c unit/support/manager_bed.c)
target_compile_definitions(manager_log_test PRIVATE
  FL_GOLDEN="${CMAKE_CURRENT_SOURCE_DIR}/unit/golden/k8s-discovery.log")
fl_unit_test(manager_self ROOMS manager sim
  SOURCES unit/support/kube_bed.c unit/support/manager_bed.c LIBRARIES PkgConfig::JANSSON)
fl_unit_test(manager_threads ROOMS manager server loop SOURCES unit/support/hand_provider.c
  LIBRARIES Threads::Threads)

fl_unit_test(peers_account ROOMS channel
  SOURCES unit/support/sets.c peers/driver/load_account.c)
target_include_directories(peers_account_test PRIVATE .)

fl_unit_test(sim_apiserver ROOMS sim SOURCES unit/support/api_bench.c)
fl_unit_test(sim_cluster ROOMS sim)
fl_unit_test(sim_faults ROOMS sim SOURCES unit/support/api_bench.c)
fl_unit_test(sim_host ROOMS sim SOURCES unit/support/pair.c)
fl_unit_test(sim_shape ROOMS sim SOURCES unit/support/api_bench.c)
fl_unit_test(sim_sim ROOMS sim)
fl_unit_test(sim_watch ROOMS sim SOURCES unit/support/api_bench.c)
fl_unit_test(sim_world ROOMS sim SOURCES unit/support/pair.c)
fl_unit_test(sim_write ROOMS sim SOURCES unit/support/api_bench.c)

# A leak must fail the program that has it.
add_test(NAME base_alloc_leak COMMAND base_alloc_test leak)
set_tests_properties(base_alloc_leak PROPERTIES WILL_FAIL TRUE)

# What `make sanitize` runs under TSan: everything that uses more than one thread.
set_tests_properties(base_intern loop_file loop_resolve loop_runtime loop_sock loop_tls
  loop_tls_session loop_tls_trust admin_threads discovery_threads channel_blocking channel_inbox channel_threads
  manager_threads
  PROPERTIES LABELS threads)
