/* authorization.h - the Authorization header of a client. Pure but for the token file. Private to
 * kube/. */
#ifndef FL_KUBE_AUTHORIZATION_H
#define FL_KUBE_AUTHORIZATION_H

#include "kube/config.h"

struct fl_authorization {
    struct fl_buf header; /* "Bearer …" or "Basic …", empty without */
};

#define FL_TOKEN_MAX ((size_t)64 * 1024)
/* May it stand in a header? Why not: FL_TOKEN_FAULT, for a message. */
bool fl_token_is_valid(struct fl_str token);
#define FL_TOKEN_FAULT "is over 64 KiB, or holds blanks or control characters"

void fl_authorization_init(struct fl_authorization *a);
void fl_authorization_deinit(struct fl_authorization *a); /* wiped */

/* Each sets the header and returns 1 if it is another one than before, 0 if it is the same;
 * FL_ECONFIG (`source`, and what is wrong), FL_ENOMEM: it stays. */
FL_MUST int fl_authorization_bearer(struct fl_authorization *a, struct fl_str token,
                                    const char *source, struct fl_error *err);
FL_MUST int fl_authorization_basic(struct fl_authorization *a, const char *user,
                                   const char *password, struct fl_error *err);
/* From a file, as it is now; FL_ECONFIG also if it cannot be read. */
FL_MUST int fl_authorization_file(struct fl_authorization *a, struct fl_io *io, const char *path,
                                  struct fl_error *err);

#endif
