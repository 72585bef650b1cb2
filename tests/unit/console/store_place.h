/* An empty console store for a test: a file of its own, or, when YAGURA_TEST_STORES holds URLs of
 * empty databases (blanks between them), the next of these. */
#ifndef TESTS_UNIT_CONSOLE_STORE_PLACE_H
#define TESTS_UNIT_CONSOLE_STORE_PLACE_H

#include "console/store/console_store.h"

struct store_place {
    char folder[64], path[512];
    bool postgres;
    struct console_store *store;
};

/* For cmocka_unit_test_setup_teardown; *state becomes the place. */
int store_place_open(void **state);
int store_place_close(void **state);

#endif
