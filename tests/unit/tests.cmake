# The unit tests, a room after the other.
fl_unit_test(sim_cluster ROOMS sim)
fl_unit_test(sim_world ROOMS sim)
fl_unit_test(kube_store ROOMS kube)
