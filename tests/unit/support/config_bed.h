/* config_bed.h - a configuration read from files and an environment that a test makes. */
#ifndef FL_TEST_CONFIG_BED_H
#define FL_TEST_CONFIG_BED_H

#include "support/alloc.h"

#include "kube/kubeconfig.h"
#include "sim/world.h"

/* A configuration with the given cluster and user lines, each indented by four blanks. */
#define KUBECONFIG(cluster, user)                                                                  \
    "apiVersion: v1\nkind: Config\ncurrent-context: main\n"                                        \
    "contexts:\n- name: main\n  context:\n    cluster: c\n    user: u\n    namespace: shop\n"      \
    "- name: other\n  context:\n    cluster: c\n"                                                  \
    "clusters:\n- name: c\n  cluster:\n" cluster "users:\n- name: u\n  user:\n" user

#define CLUSTER "    server: https://10.0.0.1:6443\n"
#define USER    "    token: s3cret\n"

struct config_bed {
    struct fl_world *world;
    struct fl_kube_config config;
    struct fl_error err;
};

void setup(struct config_bed *f);
void teardown(struct config_bed *f);
void file(struct config_bed *f, const char *path, const char *text);
void env(struct config_bed *f, const char *name, const char *value);
int load(struct config_bed *f, const char *path, const char *context);
/* The text as /k/config fails with FL_ECONFIG, names the file and says `what`, and no secret. */
void expect_refused(const char *text, const char *context, const char *what);

#endif
