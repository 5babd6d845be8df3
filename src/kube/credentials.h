/* credentials.h - how a client proves who it is, and whom it trusts, kept current.
 *
 * Owns a copy of the configuration. What proves who we are: the token file, else the token, else
 * user and password, else a client certificate, else what the exec plugin gives; the first two
 * together with a certificate. To a server without TLS none of it is told.
 *
 * Looked at anew: the token file each minute; certificate, key and authority files each minute;
 * the kubeconfig, its files and the token file when the server refused us; the exec plugin when
 * what it gave expires and when the server refused it. What cannot be read or used leaves what we
 * have. One loop's thread. Private to kube/. */
#ifndef FL_KUBE_CREDENTIALS_H
#define FL_KUBE_CREDENTIALS_H

#include "kube/config.h"

struct fl_credentials;

/* Has the configuration credentials that are not to be sent? Over cleartext none are, as kubectl
 * does: whoever hears them could use them. */
bool fl_credentials_are_held_back(const struct fl_io *io, const struct fl_kube_config *config);

struct fl_credentials_events {
    /* fl_credentials_peek_tls gives others from now on. `identity`: what we prove ourselves by has
     * changed; connections made with the old one are to be replaced. */
    void (*on_tls)(void *arg, bool identity);
    /* A fetch that somebody was told to wait for is over. */
    void (*on_fetched)(void *arg);
};

/* FL_ECONFIG (which file, and why not), FL_ENOMEM. */
FL_MUST int fl_credentials_new(struct fl_io *io, const struct fl_kube_config *config,
                               const struct fl_credentials_events *events, void *arg,
                               struct fl_credentials **out, struct fl_error *err);
/* No event after it; `done` once, later, when nothing is left. */
void fl_credentials_close(struct fl_credentials *c, void (*done)(void *arg), void *arg);
void fl_credentials_free(struct fl_credentials *c); /* never prepared; NULL is allowed */

enum fl_credentials_state {
    FL_CREDENTIALS_READY,    /* as far as is known */
    FL_CREDENTIALS_FETCHING, /* on_fetched follows */
    FL_CREDENTIALS_FAILED,   /* there are none, or none that would do: *err says why */
};

/* Before a request. Starts a fetch when one is due and none must be waited with. */
enum fl_credentials_state fl_credentials_prepare(struct fl_credentials *c, struct fl_error *err);
/* A request that was sent with what `generation` stood for was refused: `code` is
 * FL_EUNAUTHORIZED for status 401, or why the handshake failed. READY: there is something else to
 * be tried; FAILED: there is not. */
enum fl_credentials_state fl_credentials_refused(struct fl_credentials *c, unsigned generation,
                                                 int code, struct fl_error *err);
/* Rises with every change. */
unsigned fl_credentials_generation(const struct fl_credentials *c);

/* The Authorization header, empty without; borrowed until the next change. */
struct fl_str fl_credentials_authorization(const struct fl_credentials *c);
/* To the server, and to a proxy that speaks TLS; NULL without; borrowed until on_tls was called. */
struct fl_tls *fl_credentials_peek_tls(const struct fl_credentials *c);
struct fl_tls *fl_credentials_peek_proxy_tls(const struct fl_credentials *c);

#endif
