/* verdict.c - see verdict.h. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "story.h"

static const struct {
    const char *name, *promise;
} breaches[] = {
#define VERDICT_X(name, label, text) {label, text},
    BREACH_MAP(VERDICT_X)
#undef VERDICT_X
};

const char *breach_name(enum breach breach) { return breaches[breach].name; }
const char *breach_promise(enum breach breach) { return breaches[breach].promise; }

bool breach_of_name(const char *name, enum breach *out) {
    for (int i = 0; i < BREACHES; i++) {
        if (strcmp(breaches[i].name, name) != 0) continue;
        *out = (enum breach)i;
        return true;
    }
    return false;
}

void verdict_broken(struct verdict *verdict, enum breach breach, const char *format, ...) {
    va_list args;
    if (verdict->breach) return;
    verdict->breach = breach;
    va_start(args, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, args);
    va_end(args);
    if (verdict->story)
        story_tell(verdict->story, "ORACLE", "BROKEN (%s): %s", breach_name(breach), verdict->text);
}
