/* Owns the test's folder or its turn in the list of databases. */
#include "tests/unit/console/store_place.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False when none are given. */
static bool next_url(char *ret_url, size_t size)
{
    static size_t taken;
    const char *at = getenv("YAGURA_TEST_STORES");
    if (!at)
        return false;
    for (size_t i = 0; i < taken && *at; i++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    taken++;
    return text_format(ret_url, size, "%.*s", (int)strcspn(at, " "), at) > 0;
}

int store_place_open(void **state)
{
    static struct store_place place;
    char notice[512] = "";
    place = (struct store_place){.store = NULL};
    place.postgres = next_url(place.path, sizeof(place.path));
    if (getenv("YAGURA_TEST_STORES") && !place.postgres) {
        (void)fprintf(stderr, "YAGURA_TEST_STORES has too few databases\n");
        return -1;
    }
    if (!place.postgres) {
        (void)text_copy(place.folder, sizeof(place.folder), "/tmp/yagura-store-XXXXXX");
        if (!mkdtemp(place.folder))
            return -1;
        (void)text_format(place.path, sizeof(place.path), "%s/console.db", place.folder);
    }
    int r = console_store_open(place.path, &place.store, notice);
    if (r < 0 || notice[0])
        (void)fprintf(stderr, "no store: %s\n", notice);
    *state = &place;
    return r < 0 || notice[0] ? -1 : 0;
}

int store_place_close(void **state)
{
    struct store_place *place = *state;
    place->store = console_store_close(place->store);
    return place->postgres ? 0 : file_remove_tree(AT_FDCWD, place->folder);
}
