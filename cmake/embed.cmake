# cmake -D FROM=file -D TO=file.c -D NAME=name -P embed.cmake: the bytes of a file as a C source.
file(READ ${FROM} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${TO} "/* made by cmake/embed.cmake */
#include <stddef.h>

extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_len;
const unsigned char ${NAME}[] = {
${hex}};
const size_t ${NAME}_len = sizeof(${NAME});
")
