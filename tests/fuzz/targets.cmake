# The fuzz targets, a room after the other.
fl_fuzz_target(kube_credential_fuzz ROOMS kube)
fl_fuzz_target(kubeconfig_fuzz ROOMS kube)
fl_fuzz_target(http_conn_fuzz ROOMS http sim)
fl_fuzz_target(json_fuzz ROOMS wire)
fl_fuzz_target(k8s_json_fuzz ROOMS wire)
fl_fuzz_target(k8s_pb_fuzz ROOMS wire)
fl_fuzz_target(proxy_fuzz ROOMS loop)
fl_fuzz_target(yaml_fuzz ROOMS wire)
