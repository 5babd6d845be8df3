/* What a C program outside the tree sees. */
#include <fairlead/fairlead.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    struct fl_error error = {0, ""};
    struct fl_runtime *runtime = NULL;
    if (fl_runtime_new(NULL, &runtime, &error) != FL_OK) {
        fprintf(stderr, "%s: %s\n", fl_error_name(error.code), error.detail);
        return 1;
    }
    fl_runtime_free(runtime);
    printf("%s %s\n", FL_VERSION, fl_version());
    return 0;
}
