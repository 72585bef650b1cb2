/* SQLite's allocations, which fail as failing_allocator.h says: it is a shared library, whose own
 * are not wrapped. */
#ifndef TESTS_UNIT_SUPPORT_FAILING_SQLITE_H
#define TESTS_UNIT_SUPPORT_FAILING_SQLITE_H

/* A group's setup in cmocka, before anything uses SQLite. */
int failing_sqlite_begin(void **state);

#endif
