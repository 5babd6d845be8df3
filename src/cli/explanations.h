/* explanations.h - what each cause of FL_ERR_MAP means to whoever is on call. */
#ifndef FL_CLI_EXPLANATIONS_H
#define FL_CLI_EXPLANATIONS_H

/* X(NAME, "what happened", "what to do about it") */
#define FL_EXPLANATION_MAP(X)                                                                      \
    X(OK, "Nothing is wrong; in a log line it ends a trouble that was told before.", "Nothing.")   \
    X(NOMEM,                                                                                       \
      "Memory could not be allocated. What was being done is undone or put off; nothing that was " \
      "known is lost, and it is tried again.",                                                     \
      "Look at the memory limit of the process and at fairlead_heap_bytes{area=...}.")             \
    X(USAGE, "A function or the command line was used in a way that cannot work.",                 \
      "Read the detail: it names the argument. `fairlead help COMMAND` lists what is allowed.")    \
    X(CONFIG,                                                                                      \
      "A configuration, such as a kubeconfig, a certificate or a credential plugin, cannot be "    \
      "used. Nothing was asked of any server.",                                                    \
      "The detail names file, field and what is wrong with it; `kubectl config view --raw` shows " \
      "the same files merged.")                                                                    \
    X(SYS, "The operating system refused a file, a socket or a program.",                          \
      "The detail has its reason: permissions, a port that is taken, too many open files.")        \
    X(FULL,                                                                                        \
      "A bound of this process was reached: a queue, the number of services, connections or "      \
      "bytes. What was refused is not done; the rest goes on.",                                    \
      "Metrics whose name contains `limited` say which bound. Ask less at once, or find out why "  \
      "the peer does not keep up.")                                                                \
    X(CANCELLED, "The caller ended it.", "Nothing.")                                               \
    X(SHUTDOWN, "It was closed from this side.", "Nothing.")                                       \
    X(DEADLINE, "The caller's own deadline passed before there was an answer.",                    \
      "See why it is slow, or allow more time.")                                                   \
    X(RESOLVE, "The host's name has no address, or no name server answered.",                      \
      "Check the name, /etc/resolv.conf and the cluster's DNS: `getent hosts NAME`.")              \
    X(REFUSED, "The address answered that nothing listens on that port.",                          \
      "The process is not up or listens elsewhere. For the API server: check the server's "        \
      "address in the kubeconfig. For a pod: its container has died or uses another port.")        \
    X(UNREACHABLE, "The network has no way to the address.",                                       \
      "Check routes, network policies and whether the node is up.")                                \
    X(RESET, "The peer, or a middle box in its name, cut the connection.",                         \
      "Alone it is a restart. Often: an idle timeout of a load balancer, or a process that "       \
      "crashes; compare with its log at that time.")                                               \
    X(CLOSED, "The peer closed the connection in an orderly way before it had answered.",          \
      "Alone it is a restart or the server's age limit. Often: see the server's log.")             \
    X(TIMEOUT,                                                                                     \
      "The peer did not answer in time: no connection, no handshake, no answer to a PING (30 s "   \
      "of "                                                                                        \
      "silence, then 15 s), or no bookmark where the server had sent them before.",                \
      "The peer hangs or packets are lost on the way. A connection that died silently ends like "  \
      "this: what is known stays, marked stale, and is read anew on another connection.")          \
    X(TLS, "The TLS handshake failed before the certificate was judged.",                          \
      "The other side may speak no TLS on that port, only old versions (at least 1.2 is needed), " \
      "or it wants a client certificate.")                                                         \
    X(CERT,                                                                                        \
      "The peer's certificate is not trusted, is too old, or does not have the name or "           \
      "address that was dialled.",                                                                 \
      "The detail says which. Check `certificate-authority` and `tls-server-name` of the "         \
      "kubeconfig; `openssl s_client -connect HOST:PORT` shows the certificate.")                  \
    X(PROTO, "The peer sent what the protocol does not allow.",                                    \
      "There may be a proxy in between that answers in the server's place, or another service "    \
      "listens on that port. The detail says what was wrong with it.")                             \
    X(TOO_LARGE,                                                                                   \
      "The peer sent something larger than the bound for it, and the rest was not read.",          \
      "An event may have 16 MiB, a header list 16 KiB. The detail names what it was.")             \
    X(GOAWAY, "The peer is going away and did not process this request; it is safe to repeat.",    \
      "Nothing: it is repeated on another connection.")                                            \
    X(STREAM_REFUSED,                                                                              \
      "The peer refused the request before it processed it; it is safe to repeat.",                \
      "Often: the peer is at its limit of concurrent streams.")                                    \
    X(STREAM_RESET, "The peer ended this request in the middle; the connection lives on.",         \
      "See the server's log; a proxy may have a limit for long requests.")                         \
    X(UNAUTHORIZED,                                                                                \
      "The server does not accept the credentials, also not after they were read again.",          \
      "A token may have expired, or belong to another cluster. `kubectl auth whoami` with the "    \
      "same kubeconfig shows whether it works there.")                                             \
    X(FORBIDDEN, "The server knows who asks, and does not allow it.",                              \
      "The detail names verb, resource and namespace. doc/rbac.yaml is the least Role; "           \
      "`kubectl auth can-i watch endpointslices -n NS` checks it.")                                \
    X(NOT_FOUND, "The server does not have what was asked for.",                                   \
      "For a resource: the server may be too old to have EndpointSlices; Endpoints are read "      \
      "then.")                                                                                     \
    X(GONE,                                                                                        \
      "The position in the server's history has been forgotten, after an outage or when the "      \
      "server is restarted. The whole state is read anew; what is known stays meanwhile.",         \
      "Nothing if it is rare. If it is not, the server's watch history is too short for its "      \
      "load.")                                                                                     \
    X(THROTTLED, "The server asks to slow down. Its Retry-After is honoured, the position kept.",  \
      "Look at the API server's flow control (API Priority and Fairness) and at who else asks.")   \
    X(SERVER, "The server failed with a 5xx status.", "See the server's log at that time.")        \
    X(HTTP, "The server answered with a status that means nothing here.",                          \
      "Something else than an API server may answer at that address: the detail has the status.")  \
    X(AHEAD,                                                                                       \
      "This API server has not caught up with the version that another one already showed. It is " \
      "asked again a little later; what is known stays.",                                          \
      "Nothing if it passes. If it does not, that API server is cut off from etcd.")               \
    X(UNKNOWN, "Nothing has been heard about the endpoints yet; this is not the same as none.",    \
      "See why the source does not answer: `fairlead watch` tells it.")                            \
    X(ABSENT, "The source has answered, and there is no service of that name.",                    \
      "Check name and namespace: `fairlead get -A`.")                                              \
    X(EMPTY, "The service exists and no endpoint of it may take calls.",                           \
      "Its pods are not ready, or its selector matches none: `fairlead get SERVICE` lists all "    \
      "endpoints with their conditions.")                                                          \
    X(PORT, "The service does not have the port that was asked for, by name or number.",           \
      "The detail lists the ports that it has. The number is the service's, not the pod's.")       \
    X(LEFT,                                                                                        \
      "The endpoint that this call was for left the service, or another pod has its address.",     \
      "Ask for the endpoints anew (fl_channel_handles) and go on with one of those.")              \
    X(NO_PORTS, "The Service defines no ports, so there is none to call.",                         \
      "Give the Service the port that its pods listen on: `kubectl get service NAME -o yaml` "     \
      "shows "                                                                                     \
      "what it has under spec.ports.")                                                             \
    X(PORTS_EXCLUDED, "Every port of the Service is one that is never chosen (10001, metrics).",   \
      "Give the Service its RPC port, or name the wanted port (service:PORT), or change "          \
      "excluded_port of the options.")                                                             \
    X(UNHEALTHY,                                                                                   \
      "The endpoint is connected, and says by its health service that it does not serve, or "      \
      "fails the check that the channel was told to make. It gets no calls until that changes.",   \
      "The detail has its status or what the check met. Ask it yourself: `fairlead call ADDRESS "  \
      "grpc.health.v1.Health/Check`.")

#endif
