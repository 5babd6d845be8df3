// grpc_cpp_bench.cc - gRPC C++ as a subject of bench-grpc (see ../peers.py for what a subject is).
//
//     grpc_cpp_bench cq|callback unary ADDRESSES CALLS IN_FLIGHT
//     grpc_cpp_bench cq|callback stream ADDRESSES MESSAGES IN_FLIGHT BYTES
//
// cq: one thread and a completion queue; callback: the library's threads. Messages are ByteBuffers
// that nobody decodes or copies, through the generic stub: gRPC C++ at its best.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using grpc::ByteBuffer;

const char *const kUnary = "/grpc.examples.echo.Echo/UnaryEcho";
const char *const kStream = "/grpc.examples.echo.Echo/BidirectionalStreamingEcho";
constexpr size_t kEchoBytes = 64;

[[noreturn]] void Die(const std::string &what) {
    std::fprintf(stderr, "grpc_cpp_bench: %s\n", what.c_str());
    std::exit(1);
}

void RequireOk(const grpc::Status &status) {
    if (!status.ok()) Die(std::to_string(status.error_code()) + " " + status.error_message());
}

long CpuUs() {
    rusage u{};
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

ByteBuffer MakeMessage(size_t bytes) {
    const std::string text(bytes, '\0');
    grpc::Slice slice(text);
    return ByteBuffer(&slice, 1);
}

// Counts calls or messages: the first tenth is not measured. Thread-safe.
class Meter {
  public:
    Meter(long count, long in_flight)
        : warmup_(count / 10 + 1), total_(warmup_ + count), in_flight_(in_flight) {
        if (in_flight == 1) took_.reserve(static_cast<size_t>(count));
    }

    // True: one more may be started, and is taken to be.
    bool Start() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (started_ == total_ || started_ - ended_ == in_flight_) return false;
        started_++;
        if (in_flight_ == 1) sent_ = Clock::now();
        return true;
    }

    // True: it was the last.
    bool End() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (in_flight_ == 1 && ended_ >= warmup_) took_.push_back(Clock::now() - sent_);
        if (++ended_ == warmup_) {
            cpu_us_ = CpuUs();
            began_ = Clock::now();
        }
        if (ended_ < total_) return false;
        cpu_us_ = CpuUs() - cpu_us_;
        wall_ = Clock::now() - began_;
        over_ = true;
        changed_.notify_all();
        return true;
    }

    void Wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }

    void Report() {
        using std::chrono::duration_cast;
        using std::chrono::microseconds;
        std::printf("{\"at\": \"done\", \"count\": %ld, \"cpu_us\": %ld, \"us\": %ld",
                    total_ - warmup_, cpu_us_,
                    static_cast<long>(duration_cast<microseconds>(wall_).count()));
        if (!took_.empty()) {
            std::sort(took_.begin(), took_.end());
            std::printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", Us(took_[took_.size() / 2]),
                        Us(took_[took_.size() * 99 / 100]));
        }
        std::printf("}\n");
        std::fflush(stdout);
    }

  private:
    static double Us(Clock::duration d) {
        return std::chrono::duration<double, std::micro>(d).count();
    }

    const long warmup_, total_, in_flight_;
    std::mutex mutex_;
    std::condition_variable changed_;
    long started_ = 0, ended_ = 0, cpu_us_ = 0;
    bool over_ = false;
    Clock::time_point began_, sent_;
    Clock::duration wall_{};
    std::vector<Clock::duration> took_;
};

void Expect(ByteBuffer &answer, size_t bytes) {
    if (answer.Length() != bytes) Die("an answer of another length");
    answer.Clear();
}

// ---- with a completion queue ----

struct CqCall {
    grpc::ClientContext context;
    ByteBuffer answer;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

void CqUnary(grpc::GenericStub &stub, Meter &meter) {
    grpc::CompletionQueue queue;
    const ByteBuffer request = MakeMessage(kEchoBytes);
    const auto start = [&] {
        auto *call = new CqCall;
        call->context.set_wait_for_ready(true);
        call->reader = stub.PrepareUnaryCall(&call->context, kUnary, request, &queue);
        call->reader->StartCall();
        call->reader->Finish(&call->answer, &call->status, call);
    };
    void *tag;
    bool ok;
    while (meter.Start()) start();
    while (queue.Next(&tag, &ok)) {
        std::unique_ptr<CqCall> call(static_cast<CqCall *>(tag));
        RequireOk(call->status);
        Expect(call->answer, kEchoBytes);
        if (meter.End()) return;
        while (meter.Start()) start();
    }
}

void CqStream(grpc::GenericStub &stub, Meter &meter, size_t bytes) {
    enum Tag : intptr_t { kStart = 1, kRead, kWrite, kHalfClose, kFinish };
    const auto tag_of = [](Tag tag) { return reinterpret_cast<void *>(tag); };
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const ByteBuffer message = MakeMessage(bytes);
    ByteBuffer in;
    grpc::Status status;
    bool writing = false;
    context.set_wait_for_ready(true);
    auto stream = stub.PrepareCall(&context, kStream, &queue);
    const auto write = [&] {
        if (writing || !meter.Start()) return;
        writing = true;
        stream->Write(message, tag_of(kWrite));
    };
    stream->StartCall(tag_of(kStart));
    for (void *tag;;) {
        bool ok;
        if (!queue.Next(&tag, &ok)) Die("the queue ended");
        if (!ok) Die("the stream broke");
        switch (static_cast<Tag>(reinterpret_cast<intptr_t>(tag))) {
        case kStart:
            stream->Read(&in, tag_of(kRead));
            write();
            break;
        case kWrite:
            writing = false;
            write();
            break;
        case kRead:
            Expect(in, bytes);
            if (meter.End()) {
                stream->WritesDone(tag_of(kHalfClose));
            } else {
                stream->Read(&in, tag_of(kRead));
                write();
            }
            break;
        case kHalfClose:
            stream->Finish(&status, tag_of(kFinish));
            break;
        case kFinish:
            RequireOk(status);
            return;
        }
    }
}

// ---- with callbacks ----

class CallbackUnary {
  public:
    CallbackUnary(grpc::GenericStub &stub, Meter &meter)
        : stub_(stub), meter_(meter), request_(MakeMessage(kEchoBytes)) {}

    void StartSome() {
        while (meter_.Start()) StartOne();
    }

  private:
    struct Call {
        grpc::ClientContext context;
        ByteBuffer answer;
    };

    void StartOne() {
        auto *call = new Call;
        call->context.set_wait_for_ready(true);
        stub_.UnaryCall(&call->context, kUnary, grpc::StubOptions(), &request_, &call->answer,
                        [this, call](grpc::Status status) {
                            RequireOk(status);
                            Expect(call->answer, kEchoBytes);
                            delete call;
                            if (!meter_.End()) StartSome();
                        });
    }

    grpc::GenericStub &stub_;
    Meter &meter_;
    const ByteBuffer request_;
};

class CallbackStream : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
  public:
    CallbackStream(grpc::GenericStub &stub, Meter &meter, size_t bytes)
        : meter_(meter), bytes_(bytes), message_(MakeMessage(bytes)) {
        context_.set_wait_for_ready(true);
        stub.PrepareBidiStreamingCall(&context_, kStream, grpc::StubOptions(), this);
        // Writes are started from reads too, so one operation is held until the last message.
        AddHold();
        StartRead(&in_);
        Write();
        StartCall();
    }

    void Wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }

    void OnWriteDone(bool ok) override {
        if (!ok) Die("the stream broke");
        {
            std::lock_guard<std::mutex> lock(mutex_);
            writing_ = false;
        }
        Write();
    }

    void OnReadDone(bool ok) override {
        if (!ok) Die("the stream broke");
        Expect(in_, bytes_);
        if (meter_.End()) {
            StartWritesDone();
            RemoveHold();
            return;
        }
        StartRead(&in_);
        Write();
    }

    void OnDone(const grpc::Status &status) override {
        RequireOk(status);
        std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }

  private:
    void Write() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (writing_ || !meter_.Start()) return;
        writing_ = true;
        StartWrite(&message_);
    }

    Meter &meter_;
    const size_t bytes_;
    const ByteBuffer message_;
    grpc::ClientContext context_;
    ByteBuffer in_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool writing_ = false, over_ = false;
};

} // namespace

int main(int argc, char **argv) {
    const std::string api = argc > 1 ? argv[1] : "", mode = argc > 2 ? argv[2] : "";
    const bool stream = mode == "stream", callback = api == "callback";
    if ((!stream && mode != "unary") || (!callback && api != "cq") || argc != (stream ? 7 : 6))
        Die("usage: grpc_cpp_bench cq|callback unary|stream ADDRESSES COUNT IN_FLIGHT [BYTES]");
    grpc::ChannelArguments arguments;
    arguments.SetLoadBalancingPolicyName("round_robin");
    grpc::GenericStub stub(grpc::CreateCustomChannel(
        std::string("ipv4:") + argv[3], grpc::InsecureChannelCredentials(), arguments));
    const size_t bytes = stream ? std::strtoul(argv[6], nullptr, 10) : kEchoBytes;
    Meter meter(std::atol(argv[4]), std::atol(argv[5]));
    if (stream && callback) {
        CallbackStream(stub, meter, bytes).Wait();
    } else if (stream) {
        CqStream(stub, meter, bytes);
    } else if (callback) {
        CallbackUnary calls(stub, meter);
        calls.StartSome();
        meter.Wait();
        meter.Report();
        // The last callback may still be returning.
        std::fflush(stdout);
        std::_Exit(0);
    } else {
        CqUnary(stub, meter);
    }
    meter.Report();
    return 0;
}
