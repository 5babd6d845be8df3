/* yaml.h - a JSON value as a YAML document. */
#ifndef FL_CLI_YAML_H
#define FL_CLI_YAML_H

#include <jansson.h>
#include <stdio.h>

#include "base/def.h"

/* Writes one document to `out`; false if the emitter failed. */
FL_MUST bool fl_yaml_print(const json_t *value, FILE *out);

#endif
