// echo.cc - a pod's process on gRPC C++: answers every method, unary or streaming, with the
// messages that it gets. At SIGTERM it shuts down gracefully at once, with no sleep before it, and
// exits.
//
//   grpc-cpp-echo --listen ADDR
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

// One call: read, write, read, ... until the client has said all.
class Echo : public grpc::ServerGenericBidiReactor {
  public:
    Echo() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
        if (ok)
            StartWrite(&message_);
        else
            Finish(grpc::Status::OK);
    }
    void OnWriteDone(bool ok) override {
        if (ok)
            StartRead(&message_);
        else
            Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

  private:
    grpc::ByteBuffer message_;
};

class Service : public grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor *CreateReactor(grpc::GenericCallbackServerContext *) override {
        return new Echo;
    }
};

} // namespace

int main(int argc, char **argv) {
    if (argc != 3 || std::strcmp(argv[1], "--listen") != 0) {
        std::fprintf(stderr, "usage: grpc-cpp-echo --listen ADDR\n");
        return 2;
    }
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, nullptr); // in all threads: one waits for it below
    Service service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(argv[2], grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(&service);
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server || port == 0) return 1;
    std::printf("listening on %s\n", argv[2]);
    std::fflush(stdout);
    std::thread waiter([&] {
        int signal;
        sigwait(&term, &signal);
        server->Shutdown(); // stops listening, says GOAWAY, waits for the calls
    });
    server->Wait();
    waiter.join();
}
