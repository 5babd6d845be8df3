/* proto_schema.cc - descriptors and JSON by the C++ protobuf library; the only C++ of the tree.
 *
 * Descriptors lie unlinked in a database, behind which are those that the library itself was built
 * with (google/protobuf/…). The pool links what is asked for; a type resolver over it drives the
 * library's JSON converters. What the library would print goes into the error instead. */
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "base/error.h"
#include "cli/proto_schema.h"
}

namespace pb = google::protobuf;

namespace {

const char TYPE_HOST[] = "type.googleapis.com";

/* Keeps the first thing that is wrong with the descriptors. */
class FirstError : public pb::DescriptorPool::ErrorCollector {
  public:
    void AddError(const std::string &file, const std::string &element, const pb::Message *,
                  ErrorLocation, const std::string &text) override {
        if (first.empty()) first = file + ": " + element + ": " + text;
    }
    std::string first;
};

struct Rpc {
    std::string path, request, response;
    struct fl_rpc plain;
};

pb::StringPiece piece_of(struct fl_str text) { return pb::StringPiece(text.p, text.n); }

/* The library begins some texts with the empty path of the root, and ends some with a picture of
 * the place over several lines. */
std::string words_of(const pb::util::Status &status) {
    std::string text(status.message());
    if (text.compare(0, 2, ": ") == 0) text.erase(0, 2);
    return text.substr(0, text.find('\n'));
}

std::string list_methods(const pb::ServiceDescriptor *service) {
    std::string text;
    for (int i = 0; i < service->method_count(); i++)
        text += (i ? ", " : "") + service->method(i)->name();
    return text;
}

} // namespace

struct fl_schema {
    fl_schema()
        : known(*pb::DescriptorPool::generated_pool()), all(&added, &known), pool(&all, &errors),
          resolver(pb::util::NewTypeResolverForDescriptorPool(TYPE_HOST, &pool)) {}

    bool add(const pb::FileDescriptorProto &file);
    std::string services() const;

    pb::SimpleDescriptorDatabase added;
    pb::DescriptorPoolDatabase known;
    pb::MergedDescriptorDatabase all;
    FirstError errors;
    pb::DescriptorPool pool;
    std::unique_ptr<pb::util::TypeResolver> resolver;
    std::vector<pb::FileDescriptorProto> files; /* as added */
    std::vector<std::unique_ptr<Rpc>> rpcs;
};

bool fl_schema::add(const pb::FileDescriptorProto &file) {
    pb::FileDescriptorProto there;
    if (all.FindFileByName(file.name(), &there)) return true;
    if (!added.Add(file)) return false;
    files.push_back(file);
    return true;
}

std::string fl_schema::services() const {
    std::string text;
    for (const auto &file : files)
        for (const auto &service : file.service())
            text += (text.empty() ? "" : ", ") +
                    (file.package().empty() ? "" : file.package() + ".") + service.name();
    return text;
}

int fl_schema_new(struct fl_schema **out) {
    pb::SetLogHandler(nullptr);
    *out = new (std::nothrow) fl_schema;
    return *out ? FL_OK : FL_ENOMEM;
}

void fl_schema_free(struct fl_schema *schema) { delete schema; }

int fl_schema_add_set(struct fl_schema *schema, struct fl_str set, struct fl_error *err) {
    pb::FileDescriptorSet files;
    if (!files.ParseFromArray(set.p, static_cast<int>(set.n)) || files.file_size() == 0)
        return fl_fail(err, FL_EPROTO, "no FileDescriptorSet");
    for (const auto &file : files.file())
        if (!schema->add(file))
            return fl_fail(err, FL_EPROTO, "%s declares what another file has declared",
                           file.name().c_str());
    return FL_OK;
}

int fl_schema_add_file(struct fl_schema *schema, struct fl_str bytes, struct fl_error *err) {
    pb::FileDescriptorProto file;
    if (!file.ParseFromArray(bytes.p, static_cast<int>(bytes.n)) || file.name().empty())
        return fl_fail(err, FL_EPROTO, "no FileDescriptorProto");
    if (!schema->add(file))
        return fl_fail(err, FL_EPROTO, "%s declares what another file has declared",
                       file.name().c_str());
    return FL_OK;
}

bool fl_schema_missing_import(struct fl_schema *schema, struct fl_buf *name) {
    pb::FileDescriptorProto there;
    for (const auto &file : schema->files)
        for (const auto &import : file.dependency())
            if (!schema->all.FindFileByName(import, &there))
                return fl_buf_append(name, fl_str_n(import.data(), import.size())) == FL_OK;
    return false;
}

bool fl_schema_has_service(struct fl_schema *schema, const char *name) {
    pb::FileDescriptorProto file;
    return schema->added.FindFileContainingSymbol(name, &file);
}

static int no_service(struct fl_schema *schema, const char *name, struct fl_error *err) {
    if (!schema->errors.first.empty())
        return fl_fail(err, FL_EPROTO, "%s", schema->errors.first.c_str());
    return fl_fail(err, FL_EUSAGE, "there is no service \"%s\"; there are: %s", name,
                   schema->services().c_str());
}

int fl_schema_rpc(struct fl_schema *schema, const char *name, const struct fl_rpc **out,
                  struct fl_error *err) {
    std::string full(*name == '/' ? name + 1 : name);
    size_t slash = full.find('/');
    if (slash == std::string::npos)
        return fl_fail(err, FL_EUSAGE, "\"%s\": want SERVICE/METHOD", full.c_str());
    std::string service_name = full.substr(0, slash), method_name = full.substr(slash + 1);
    const pb::ServiceDescriptor *service = schema->pool.FindServiceByName(service_name);
    if (!service) return no_service(schema, service_name.c_str(), err);
    const pb::MethodDescriptor *method = service->FindMethodByName(method_name);
    if (!method)
        return fl_fail(err, FL_EUSAGE, "service %s has no method \"%s\"; it has: %s",
                       service_name.c_str(), method_name.c_str(), list_methods(service).c_str());
    auto rpc = std::make_unique<Rpc>();
    rpc->path = "/" + full;
    rpc->request = method->input_type()->full_name();
    rpc->response = method->output_type()->full_name();
    rpc->plain = {rpc->path.c_str(),    method->client_streaming(), method->server_streaming(),
                  rpc->request.c_str(), rpc->response.c_str(),      schema};
    *out = &rpc->plain;
    schema->rpcs.push_back(std::move(rpc));
    return FL_OK;
}

static std::string url_of(const char *type) { return std::string(TYPE_HOST) + "/" + type; }

static int give(const std::string &bytes, struct fl_buf *out, struct fl_error *err) {
    int rc = fl_buf_append(out, fl_str_n(bytes.data(), bytes.size()));
    return rc ? fl_fail(err, rc, "a message of %zu bytes", bytes.size()) : FL_OK;
}

int fl_rpc_encode(const struct fl_rpc *rpc, struct fl_str json, struct fl_buf *out,
                  struct fl_error *err) {
    std::string bytes;
    auto status = pb::util::JsonToBinaryString(rpc->schema->resolver.get(), url_of(rpc->request),
                                               piece_of(json), &bytes);
    if (!status.ok())
        return fl_fail(err, FL_EUSAGE, "does not fit %s: %s", rpc->request,
                       words_of(status).c_str());
    return give(bytes, out, err);
}

int fl_rpc_decode(const struct fl_rpc *rpc, struct fl_str bytes, bool indented, struct fl_buf *out,
                  struct fl_error *err) {
    std::string json;
    pb::util::JsonPrintOptions options;
    options.add_whitespace = indented;
    auto status =
        pb::util::BinaryToJsonString(rpc->schema->resolver.get(), url_of(rpc->response),
                                     std::string(bytes.p ? bytes.p : "", bytes.n), &json, options);
    if (!status.ok())
        return fl_fail(err, FL_EPROTO, "the response is no %s: %s", rpc->response,
                       words_of(status).c_str());
    while (!json.empty() && json.back() == '\n') json.pop_back();
    return give(json, out, err);
}
