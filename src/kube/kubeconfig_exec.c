/* kubeconfig_exec.c - the `exec` of a user entry: which program gives credentials, and how it is
 * run. Source: k8s.io/client-go/tools/clientcmd/api/v1, ExecConfig. */
#include "base/alloc.h"
#include "kube/kubeconfig_entry.h"

#define V1 "client.authentication.k8s.io/v1"

/* The program; one with a '/' counts from the kubeconfig's folder, another is looked up in PATH. */
static int read_command(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    const char *command;
    int rc = fl_entry_text(e, "command", &command);
    if (rc < 0) return rc;
    if (!command) return fl_entry_fail(e, "has an exec plugin without a command");
    char *path = strchr(command, '/') ? fl_entry_resolve(e, command) : fl_strdup(command);
    if (!path || fl_texts_add(&out->exec.argv, fl_str_of(path), FL_STR_NONE) < 0)
        rc = fl_fail_nomem(e->err);
    fl_free(path);
    return rc < 0 ? rc : fl_entry_list(e, "args", NULL, &out->exec.argv);
}

static int add_env(const struct fl_kubeconfig_entry *item, struct fl_kube_config *out) {
    const char *name, *value;
    int rc;
    if ((rc = fl_entry_text(item, "name", &name)) < 0 ||
        (rc = fl_entry_text(item, "value", &value)) < 0)
        return rc;
    if (!name || strchr(name, '='))
        return fl_entry_fail(item, "has an exec plugin with a variable that has no proper name");
    struct fl_buf text;
    fl_buf_init(&text, SIZE_MAX);
    if (fl_buf_printf(&text, "%s=", name) < 0 ||
        fl_texts_add(&out->exec.env, fl_buf_str(&text), fl_str_of(value)) < 0)
        rc = fl_fail_nomem(item->err);
    fl_buf_deinit(&text);
    return rc;
}

static int read_env(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    size_t i;
    struct fl_kubeconfig_entry item = *e;
    const json_t *list = json_object_get(e->json, "env");
    if (!fl_entry_has(e, "env")) return FL_OK;
    if (!json_is_array(list)) return fl_entry_fail(e, "has an exec plugin whose env is no list");
    json_array_foreach (list, i, item.json) {
        int rc = add_env(&item, out);
        if (rc < 0) return rc;
    }
    return FL_OK;
}

static int read_version(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    int rc = fl_entry_copy(e, "apiVersion", &out->exec.api_version);
    if (rc < 0) return rc;
    const char *version = out->exec.api_version;
    if (version && (strcmp(version, V1) == 0 || strcmp(version, V1 "beta1") == 0)) return FL_OK;
    return fl_entry_fail(
        e, "has an exec plugin with the apiVersion \"%.60s\": must be " V1 " or " V1 "beta1",
        version ? version : "");
}

/* Nobody is there to answer: IfAvailable runs as Never does. */
static int check_mode(const struct fl_kubeconfig_entry *e, const struct fl_kube_config *out) {
    const char *mode;
    int rc = fl_entry_text(e, "interactiveMode", &mode);
    if (rc < 0) return rc;
    if (!mode) { /* v1beta1 has a default */
        if (strcmp(out->exec.api_version, V1) != 0) return FL_OK;
        return fl_entry_fail(e, "has an exec plugin without an interactiveMode: give Never or "
                                "IfAvailable");
    }
    if (strcmp(mode, "Never") == 0 || strcmp(mode, "IfAvailable") == 0) return FL_OK;
    if (strcmp(mode, "Always") == 0)
        return fl_entry_fail(e, "has an exec plugin with interactiveMode Always, and there is no "
                                "terminal for it here: use Never or IfAvailable");
    return fl_entry_fail(e,
                         "has an exec plugin with the interactiveMode \"%.20s\": must be Never, "
                         "IfAvailable or Always",
                         mode);
}

int fl_kubeconfig_exec(const struct fl_kubeconfig_entry *user, struct fl_kube_config *out) {
    struct fl_kubeconfig_entry e = *user;
    int rc;
    e.json = json_object_get(user->json, "exec");
    if (!fl_entry_has(user, "exec")) return FL_OK;
    if (!json_is_object(e.json)) return fl_entry_fail(user, "has an exec that is no mapping");
    if ((rc = read_version(&e, out)) < 0 || (rc = check_mode(&e, out)) < 0 ||
        (rc = read_command(&e, out)) < 0 || (rc = read_env(&e, out)) < 0 ||
        (rc = fl_entry_flag(&e, "provideClusterInfo", &out->exec.wants_cluster)) < 0)
        return rc;
    return fl_entry_copy(&e, "installHint", &out->exec.install_hint);
}
