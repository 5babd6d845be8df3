/* resource.h - the resources we read, their paths, queries and content types. Private to
 * kube/. */
#ifndef FL_KUBE_RESOURCE_H
#define FL_KUBE_RESOURCE_H

#include "wire/k8s.h"

/* "endpointslices", "services", "endpoints". Static storage. */
const char *fl_resource_name(enum fl_k8s_kind kind);

/* A collection, or the part of it that selectors leave; empty strings do not count. */
struct fl_resource_scope {
    enum fl_k8s_kind kind;
    struct fl_str ns; /* empty: of the whole cluster */
    struct fl_str label_selector, field_selector;
};

/* Its path and the beginning of the query. FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_resource_path(struct fl_buf *out, const struct fl_resource_scope *scope);

/* Appends "key=value" with `value` percent-encoded, after '?' if it is the first of the URL's
 * parameters, else after '&'. Nothing for an empty value. */
FL_MUST int fl_query_add(struct fl_buf *out, const char *key, struct fl_str value);
/* The format that a Content-Type names, false: none of ours. */
FL_MUST bool fl_resource_format(struct fl_str content_type, enum fl_k8s_format *format);
FL_MUST int fl_query_add_number(struct fl_buf *out, const char *key, uint64_t value);

#endif
