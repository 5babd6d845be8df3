/* yaml.h - a YAML document as a jansson tree. JSON documents are YAML too.
 *
 * For configuration, not for hot paths: the whole text is in memory, at most FL_YAML_TEXT_MAX, and
 * is nested at most FL_YAML_DEPTH_MAX deep. One document; keys are text and stand once in their
 * mapping; aliases are refused, since expanding them is unbounded and configurations do without.
 * Plain scalars are typed by YAML 1.2's core schema: null, true and false in their spellings, whole
 * numbers that fit 64 bits, and other numbers as JSON spells them; everything else, and what is
 * quoted, is text.
 *
 * Memory: libyaml takes it from malloc. jansson's allocator is one for the process and belongs to
 * the program; one that has no other use for jansson may call fl_yaml_use_alloc once, before any
 * json_t exists and before other threads, to have the trees in base/alloc.h's memory. */
#ifndef FL_WIRE_YAML_H
#define FL_WIRE_YAML_H

#include <jansson.h>

#include "base/error.h"
#include "base/str.h"

#define FL_YAML_TEXT_MAX  ((size_t)1024 * 1024)
#define FL_YAML_DEPTH_MAX 64

/* *out: a new reference, json null for an empty document; NULL on failure. FL_EPROTO (detail: line,
 * column and what; never a value), FL_ETOO_LARGE, FL_ENOMEM. */
FL_MUST int fl_yaml_parse(struct fl_str text, json_t **out, struct fl_error *err);

void fl_yaml_use_alloc(void);

#endif
