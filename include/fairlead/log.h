/* log.h - where log lines go and which.
 *
 * Lines come from decisions of discovery and channels: a constant message with key=value fields,
 * the cause under `cause`. Text lines look like `time=… level=info msg="…" key=value`; JSON lines
 * begin with the keys timestamp, level, service, trace_id, message. */
#ifndef FAIRLEAD_LOG_H
#define FAIRLEAD_LOG_H

#include <fairlead/def.h>

FL_C_BEGIN

enum fl_log_level { FL_LOG_DEBUG, FL_LOG_INFO, FL_LOG_WARN, FL_LOG_ERROR, FL_LOG_OFF };
enum fl_log_format { FL_LOG_TEXT, FL_LOG_JSON };

struct fl_log_options {
    enum fl_log_level level; /* lines below are dropped */
    enum fl_log_format format;
    /* Gets one whole line with its line break; NULL: standard error. Called from any loop's thread,
     * one line at a time. */
    void (*write)(void *arg, const char *line, size_t len);
    void *arg;
};

/* Sets the process's log; before it is called, warnings and errors go to standard error as text.
 * Any thread. */
FL_API void fl_log_configure(const struct fl_log_options *options);

FL_C_END

#endif
