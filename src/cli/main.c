/* main.c - the fairlead command. */
#include <fairlead/version.h>
#include <stdio.h>

int main(void) {
    puts(fl_version());
    return 0;
}
