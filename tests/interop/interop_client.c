/* interop_client.c - the cases of gRPC's interoperability tests against any server of them.
 *
 *   interop_client [--cacert FILE] [--server-name NAME] [--iterations N] TARGET [CASE…]
 *
 * Each case gets a channel of its own and one line on standard output. Without names all cases run
 * but those with compression, which grpc-go's server does not have. Exit codes: 0 all went as they
 * should, 1 one did not, 2 usage. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interop/interop_cases.h"

static const struct interop_named_case *find(const char *name) {
    const struct interop_cases *const all[] = {&interop_plain_cases, &interop_compressed_cases};
    for (size_t i = 0; i < FL_COUNT(all); i++)
        for (size_t j = 0; j < all[i]->count; j++)
            if (strcmp(all[i]->list[j].name, name) == 0) return &all[i]->list[j];
    return NULL;
}

/* A copy of the peer, so that what a case changes ends with it. */
static bool run(struct interop_peer peer, const struct interop_named_case *chosen) {
    bool good = interop_peer_open(&peer) && chosen->run(&peer);
    interop_peer_close(&peer);
    printf("%s %s%s%s\n", good ? "ok" : "FAILED", chosen->name, good ? "" : ": ", peer.why);
    fflush(stdout);
    return good;
}

static int run_named(const struct interop_peer *peer, char **names) {
    bool good = true;
    for (char **name = names; *name; name++)
        if (!find(*name)) {
            fprintf(stderr, "interop_client: no such case: %s\n", *name);
            return 2;
        }
    for (char **name = names; *name; name++) good &= run(*peer, find(*name));
    return good ? 0 : 1;
}

static int run_plain(const struct interop_peer *peer) {
    bool good = true;
    for (size_t i = 0; i < interop_plain_cases.count; i++)
        good &= run(*peer, &interop_plain_cases.list[i]);
    return good ? 0 : 1;
}

int main(int argc, char **argv) {
    static const struct option known[] = {{"cacert", required_argument, NULL, 'c'},
                                          {"server-name", required_argument, NULL, 'n'},
                                          {"iterations", required_argument, NULL, 'i'},
                                          {0}};
    struct interop_peer peer = {.iterations = 10};
    struct fl_channel_tls tls = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?') return 2;
        if (option == 'c') tls.ca_file = optarg;
        if (option == 'n') tls.server_name = optarg;
        if (option == 'i') peer.iterations = (unsigned)strtoul(optarg, NULL, 10);
    }
    if (optind == argc) {
        fprintf(stderr, "usage: interop_client [--cacert FILE] [--server-name NAME] "
                        "[--iterations N] TARGET [CASE…]\n");
        return 2;
    }
    peer.target = argv[optind];
    if (tls.ca_file) peer.options.tls = &tls;
    return argv[optind + 1] ? run_named(&peer, argv + optind + 1) : run_plain(&peer);
}
