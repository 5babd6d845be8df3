/* descriptor.c - symbols of a file descriptor, found by walking it: every declaration has its name
 * in field 1, and what it declares inside in fields that depend on its kind. A name leads inside
 * only where the symbol goes on behind it, so the walk is as deep as the symbol has dots. */
#include "server/descriptor.h"

#include "wire/pb.h"

enum { NAME = 1, PACKAGE, DEPENDENCY };

enum kind { FILE_, MESSAGE, SERVICE, LEAF };

/* What a declaration holds: field numbers of google/protobuf/descriptor.proto. */
static const struct part {
    enum kind in;
    unsigned number;
    enum kind kind;
} parts[] = {
    {FILE_, 4, MESSAGE},   /* message_type */
    {FILE_, 5, LEAF},      /* enum_type */
    {FILE_, 6, SERVICE},   /* service */
    {FILE_, 7, LEAF},      /* extension */
    {MESSAGE, 2, LEAF},    /* field */
    {MESSAGE, 3, MESSAGE}, /* nested_type */
    {MESSAGE, 4, LEAF},    /* enum_type */
    {MESSAGE, 6, LEAF},    /* extension */
    {MESSAGE, 8, LEAF},    /* oneof_decl */
    {SERVICE, 2, LEAF},    /* method */
};

static const struct part *part_of(enum kind in, uint32_t tag) {
    for (size_t i = 0; i < FL_COUNT(parts); i++)
        if (parts[i].in == in && FL_PB_LEN(parts[i].number) == tag) return &parts[i];
    return NULL;
}

static struct fl_str text_of(struct fl_str declaration, unsigned number) {
    struct fl_parse r = fl_parse_of(declaration);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(number)) return field.bytes;
    return FL_STR_NONE;
}

/* Takes "name." from the front of *symbol. */
static bool enters(struct fl_str *symbol, struct fl_str name) {
    if (!fl_str_starts(*symbol, name) || symbol->n == name.n || symbol->p[name.n] != '.')
        return false;
    *symbol = fl_str_from(*symbol, name.n + 1);
    return true;
}

static bool holds(struct fl_str body, enum kind kind, struct fl_str symbol) {
    struct fl_parse r = fl_parse_of(body);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field)) {
        const struct part *part = part_of(kind, field.tag);
        if (!part) continue;
        struct fl_str name = text_of(field.bytes, NAME), inside = symbol;
        if (fl_str_eq(name, symbol)) return true;
        if (name.n && enters(&inside, name) && holds(field.bytes, part->kind, inside)) return true;
    }
    return false;
}

bool fl_descriptor_declares(const struct fl_descriptor_file *file, struct fl_str symbol) {
    if (symbol.n == 0 || (file->package.n && !enters(&symbol, file->package))) return false;
    return holds(file->bytes, FILE_, symbol);
}

bool fl_descriptor_next_import(struct fl_parse *r, struct fl_str *name) {
    struct fl_pb_field field;
    while (fl_pb_next(r, &field)) {
        if (field.tag != FL_PB_LEN(DEPENDENCY)) continue;
        *name = field.bytes;
        return true;
    }
    return false;
}

bool fl_descriptor_file_of(struct fl_str bytes, struct fl_descriptor_file *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field)) continue;
    *out = (struct fl_descriptor_file){bytes, text_of(bytes, NAME), text_of(bytes, PACKAGE)};
    return !r.bad && out->name.n > 0;
}
