/* api_table.h - objects as a meta.k8s.io/v1 Table, which is what `kubectl get` asks for: columns by
 * kind, made by the server. One thread. */
#ifndef FL_SIM_API_TABLE_H
#define FL_SIM_API_TABLE_H

#include "sim/api_request.h"

/* FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_api_table_encode(const struct fl_api_request *request, struct fl_object **objects,
                                size_t count, uint64_t version, struct fl_str continue_token,
                                struct fl_buf *out);

#endif
