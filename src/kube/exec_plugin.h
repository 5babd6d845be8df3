/* exec_plugin.h - runs an exec credential plugin, one run at a time. One loop's thread. Private to
 * kube/. */
#ifndef FL_KUBE_EXEC_PLUGIN_H
#define FL_KUBE_EXEC_PLUGIN_H

#include "base/io.h"
#include "kube/exec_credential.h"

struct fl_exec_plugin;

/* The end of a run: *why has code FL_OK and *credential is what it gave, to be taken or left; else
 * FL_ECONFIG (which program, and what it said on standard error), FL_ETIMEOUT, FL_ENOMEM. Not
 * called any more once it was closed. */
typedef void fl_exec_plugin_cb(void *arg, const struct fl_error *why,
                               struct fl_exec_credential *credential);

/* FL_ENOMEM. */
FL_MUST int fl_exec_plugin_new(struct fl_io *io, fl_exec_plugin_cb *on_done, void *arg,
                               struct fl_exec_plugin **out);
/* Starts a run unless one is under way, in the process's environment, the configuration's and
 * KUBERNETES_EXEC_INFO. FL_ENOMEM: then no callback. */
FL_MUST int fl_exec_plugin_run(struct fl_exec_plugin *plugin, const struct fl_kube_config *config,
                               struct fl_error *err);
bool fl_exec_plugin_running(const struct fl_exec_plugin *plugin);
void fl_exec_plugin_free(struct fl_exec_plugin *plugin); /* one that does not run, or NULL */
/* Kills a run; `done` once, later, when nothing is left. */
void fl_exec_plugin_close(struct fl_exec_plugin *plugin, void (*done)(void *arg), void *arg);

#endif
