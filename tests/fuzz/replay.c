/* Runs a fuzz target over the files of its corpus (each argument is a file or a folder), and over
 * the empty input: what a fuzzer once found stays found, with any compiler. */
#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)place;
    if (kind != FTW_F)
        return 0;
    size_t size = (size_t)status->st_size;
    /* Exactly as large as the input, so that a sanitizer sees one byte too many. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    FILE *file = fopen(path, "rbe");
    if (!data || !file || fread(data, 1, size, file) != size) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
    return 0;
}

int main(int count, char **arguments)
{
    uint8_t nothing = 0;
    (void)LLVMFuzzerTestOneInput(&nothing, 0);
    for (int i = 1; i < count; i++) {
        if (nftw(arguments[i], replay_file, 16, FTW_PHYS) != 0) {
            fprintf(stderr, "cannot walk %s: %s\n", arguments[i], strerror(errno));
            return EXIT_FAILURE;
        }
    }
    printf("%u passed, 0 failed, 0 skipped\n", replayed + 1);
    return EXIT_SUCCESS;
}
