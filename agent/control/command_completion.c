/* yaguractl completion: a script for bash, installed by the packages. */
#include "agent/control/commands.h"

const struct command command_completion = {
    .name = "completion",
    .arguments = "",
    .summary = "Print the completion script of bash",
    .run = command_print_completion,
    .local = true,
};
