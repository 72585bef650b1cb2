/* Application control, ordered by the console: maintenance, and learning anew. */
#include "agent/application_control/application_control.h"
#include "agent/delivery/commands_internal.h"
#include "common/text/text.h"

#include <errno.h>

static void answer(struct commands *commands, const struct wire_command *command, int result,
                   const char *done)
{
    if (result == -EOPNOTSUPP)
        command_answer(commands, command->id, false,
                       "application control is off: set application_control.mode in the policy");
    else if (result == -EALREADY)
        command_answer(commands, command->id, false,
                       "it is learning: every program runs, and is known then");
    else
        command_answer_result(commands, command->id, result, done);
}

void command_maintenance(struct commands *commands, const struct wire_command *command)
{
    const char *text = command_argument(command, "minutes");
    uint64_t minutes = 0;

    if (text == NULL || text_parse_u64(text, &minutes) < 0 ||
        minutes > APPLICATION_MAINTENANCE_MOST_MINUTES) {
        command_answer(commands, command->id, false, "minutes must be 0 to %d; 0 ends maintenance",
                       APPLICATION_MAINTENANCE_MOST_MINUTES);
        return;
    }
    int r = commands->context.application_control != NULL
                ? application_control_maintain(commands->context.application_control, minutes,
                                               "console")
                : -EOPNOTSUPP;
    answer(commands, command, r, minutes > 0 ? "every program runs until it ends" : "it ends");
}

void command_learn_programs(struct commands *commands, const struct wire_command *command)
{
    int r = commands->context.application_control != NULL
                ? application_control_learn(commands->context.application_control, "console")
                : -EOPNOTSUPP;

    answer(commands, command, r,
           "programs are learned anew; every program runs until that is done");
}
