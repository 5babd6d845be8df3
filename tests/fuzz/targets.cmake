# The fuzz targets, a room after the other.
fl_fuzz_target(kubeconfig_fuzz ROOMS kube)
fl_fuzz_target(http_conn_fuzz ROOMS http sim)
