/* story.h - what happened in a world, in words: who did what when. For a person who replays a seed;
 * without a listener nothing is formatted. One thread. */
#ifndef FL_TEST_STORY_H
#define FL_TEST_STORY_H

#include "base/io.h"

typedef void story_line(void *arg, const char *text);

struct story {
    struct fl_io *io; /* its clock */
    story_line *line; /* NULL: nobody listens */
    void *arg;
};

static inline bool story_is_heard(const struct story *story) { return story->line != NULL; }
/* "  12.345678  who       text" */
void story_tell(struct story *story, const char *who, const char *format, ...) FL_PRINTF(3, 4);

#endif
