/* yaml.c - a JSON value as a YAML document, through libyaml's emitter. */
#include "cli/yaml.h"

#include <yaml.h>

static bool emit_value(yaml_emitter_t *emitter, const json_t *value);

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted) {
    yaml_event_t event;
    yaml_scalar_style_t style = quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, -1, !quoted,
                                        quoted, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_integer(yaml_emitter_t *emitter, json_int_t number) {
    char text[32];
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, number);
    return emit_scalar(emitter, text, false);
}

static bool emit_array(yaml_emitter_t *emitter, const json_t *array) {
    yaml_event_t event;
    bool ok =
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE) &&
        yaml_emitter_emit(emitter, &event);
    for (size_t i = 0; ok && i < json_array_size(array); i++)
        ok = emit_value(emitter, json_array_get(array, i));
    return ok && yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_object(yaml_emitter_t *emitter, const json_t *object) {
    yaml_event_t event;
    bool ok = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE) &&
              yaml_emitter_emit(emitter, &event);
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)object, key, value) {
        ok = ok && emit_scalar(emitter, key, false) && emit_value(emitter, value);
    }
    return ok && yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return emit_object(emitter, value);
    case JSON_ARRAY:
        return emit_array(emitter, value);
    case JSON_STRING:
        return emit_scalar(emitter, json_string_value(value), true);
    case JSON_INTEGER:
        return emit_integer(emitter, json_integer_value(value));
    case JSON_TRUE:
        return emit_scalar(emitter, "true", false);
    case JSON_FALSE:
        return emit_scalar(emitter, "false", false);
    default:
        return emit_scalar(emitter, "null", false);
    }
}

bool fl_yaml_print(const json_t *value, FILE *out) {
    yaml_emitter_t emitter;
    yaml_event_t event;
    if (!yaml_emitter_initialize(&emitter)) return false;
    yaml_emitter_set_output_file(&emitter, out);
    bool ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
              yaml_emitter_emit(&emitter, &event) &&
              yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
              yaml_emitter_emit(&emitter, &event) && emit_value(&emitter, value) &&
              yaml_document_end_event_initialize(&event, 1) &&
              yaml_emitter_emit(&emitter, &event) && yaml_stream_end_event_initialize(&event) &&
              yaml_emitter_emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
    return ok;
}
