/* What is done about a file that is opened and a program that is started: the rules, the values of
 * the request in hand, and the telling. Runs inside the function's own process: nothing here
 * allocates or locks, and errno is as it was unless something is refused (EACCES). */
#ifndef APPLICATION_PRELOAD_RUNTIME_JUDGE_H
#define APPLICATION_PRELOAD_RUNTIME_JUDGE_H

#include <stdbool.h>

/* path is relative to directory, or AT_FDCWD. True: it is refused. */
bool runtime_judge_refuses_file(int directory, const char *path);
/* argv NULL: path is a text for a shell, as system(3) has it. */
bool runtime_judge_refuses_command(const char *path, char *const *argv);

#endif
