/* descriptor.h - what reflection reads of an encoded google.protobuf.FileDescriptorProto: its name,
 * its imports, and whether it declares a symbol. Pure; everything is borrowed. */
#ifndef FL_SERVER_DESCRIPTOR_H
#define FL_SERVER_DESCRIPTOR_H

#include "base/parse.h"

struct fl_descriptor_file {
    struct fl_str bytes, name, package;
};

/* False: these are not the bytes of a file with a name. */
FL_MUST bool fl_descriptor_file_of(struct fl_str bytes, struct fl_descriptor_file *out);
/* The next import of a file whose bytes *r began with; false behind the last. */
FL_MUST bool fl_descriptor_next_import(struct fl_parse *r, struct fl_str *name);
/* Is "package.Message", "package.Message.field", "package.Service.Method", … declared here? */
FL_MUST bool fl_descriptor_declares(const struct fl_descriptor_file *file, struct fl_str symbol);

#endif
