/* api_access.h - who may do what at the simulated API server. One thread.
 *
 * Without a token everybody may do everything. With one, its bearer is the administrator; a second
 * token may only read, perhaps in one namespace; anybody else is nobody (401). */
#ifndef FL_SIM_API_ACCESS_H
#define FL_SIM_API_ACCESS_H

#include "sim/api_reply.h"
#include "sim/apiserver.h"

#define FL_API_READER "system:serviceaccount:default:reader"

struct fl_api_access {
    char *token, *reader_token, *reader_namespace; /* NULL: none */
};

FL_MUST int fl_api_access_init(struct fl_api_access *access,
                               const struct fl_apiserver_options *options); /* FL_ENOMEM */
void fl_api_access_deinit(struct fl_api_access *access);                    /* wipes */
/* 0, 401 or 403. Health is everybody's, discovery documents are every bearer's. */
FL_MUST int fl_api_access_check(const struct fl_api_access *access,
                                const struct fl_http_request *head, struct fl_api_request *request,
                                struct fl_api_status *status);

/* A SelfSubjectAccessReview, which `kubectl auth can-i` creates. */
bool fl_api_is_review(const struct fl_api_request *request);
void fl_api_reply_review(const struct fl_api_call *call, const struct fl_api_access *access,
                         struct fl_str body);

#endif
