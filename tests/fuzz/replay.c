/* replay.c - runs every file of the folders named on the command line through a fuzz target, and a
 * few mutations of each that a seed decides, so that the corpus is a test in every build. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX       ((size_t)1 << 20)
#define MUTATIONS       64
#define MUTATION_PLACES 4

static void run_mutations(uint8_t *data, size_t size, struct fl_random *random) {
    for (int round = 0; round < MUTATIONS && size > 0; round++) {
        size_t place[MUTATION_PLACES];
        uint8_t was[MUTATION_PLACES];
        for (int i = 0; i < MUTATION_PLACES; i++) {
            place[i] = (size_t)fl_random_below(random, size);
            was[i] = data[place[i]];
            data[place[i]] = (uint8_t)fl_random_u64(random);
        }
        LLVMFuzzerTestOneInput(data, (size_t)fl_random_below(random, size + 1));
        LLVMFuzzerTestOneInput(data, size);
        for (int i = MUTATION_PLACES; i-- > 0;) data[place[i]] = was[i];
    }
}

static bool run_file(const char *path, struct fl_random *random) {
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    uint8_t *data = malloc(INPUT_MAX);
    size_t size = data ? fread(data, 1, INPUT_MAX, file) : 0;
    fclose(file);
    if (!data) return false;
    LLVMFuzzerTestOneInput(data, size);
    run_mutations(data, size, random);
    free(data);
    return true;
}

static int run_folder(const char *folder, struct fl_random *random) {
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort), ran = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && length < (int)sizeof path) ran += run_file(path, random);
        free(names[i]);
    }
    free(names);
    return ran;
}

int main(int argc, char **argv) {
    struct fl_random random = {1};
    int ran = 0;
    for (int i = 1; i < argc; i++) ran += run_folder(argv[i], &random);
    printf("%d inputs, %d mutations each\n", ran, 2 * MUTATIONS);
    return ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
