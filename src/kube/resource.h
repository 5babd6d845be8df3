/* resource.h - the resources we read, their paths and the queries of list and watch. Private to
 * kube/. */
#ifndef FL_KUBE_RESOURCE_H
#define FL_KUBE_RESOURCE_H

#include "wire/k8s.h"

/* "endpointslices", "services", "endpoints". Static storage. */
const char *fl_resource_name(enum fl_k8s_kind kind);

/* The collection's path; `ns` empty: of the whole cluster. FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_resource_path(struct fl_buf *out, enum fl_k8s_kind kind, struct fl_str ns);

/* Appends "key=value" with `value` percent-encoded, after '?' if it is the first of the URL's
 * parameters, else after '&'. Nothing for an empty value. */
FL_MUST int fl_query_add(struct fl_buf *out, const char *key, struct fl_str value);
FL_MUST int fl_query_add_number(struct fl_buf *out, const char *key, uint64_t value);

#endif
