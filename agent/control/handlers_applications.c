/* applications-learn: {} forgets all programs and learns anew; done 0 when that has begun.
 * maintenance: {"minutes":N}  0 ends it; done 0. */
#include "agent/control/handlers_private.h"

#include "agent/application_control/application_control.h"
#include "agent/protection/protection.h"
#include "common/log/log.h"

#include <errno.h>

/* Whoever may run anything takes protection away. */
static bool is_refused(const struct control_handlers *handlers, struct control_request *request)
{
    if (!protection_is_on(handlers->context.protection))
        return false;
    control_request_fail(request, 2, PROTECTION_REFUSAL);
    return true;
}

static void finish(struct control_request *request, int result)
{
    if (result == -EOPNOTSUPP)
        control_request_fail(request, 2,
                             "application control is off: set application_control.mode");
    else if (result == -EALREADY)
        control_request_fail(request, 2, "it is learning: every program runs, and is known then");
    else if (result < 0)
        control_request_fail(request, 2, "%s", log_error_text(result));
    else
        control_request_done(request, 0);
}

static void work_learn(struct control_handlers *handlers, struct control_request *request,
                       const json_t *arguments UNUSED)
{
    finish(request, application_control_learn(handlers->context.application_control, "yaguractl"));
}

void handle_applications_learn(void *user, struct control_request *request, const json_t *arguments)
{
    if (!is_refused(user, request))
        control_run_task(user, request, arguments, work_learn);
}

static void work_maintenance(struct control_handlers *handlers, struct control_request *request,
                             const json_t *arguments)
{
    uint64_t minutes = 0;
    int r = argument_unsigned(arguments, "minutes", &minutes);

    if (r == 0)
        r = application_control_maintain(handlers->context.application_control, minutes,
                                         "yaguractl");
    finish(request, r);
}

void handle_maintenance(void *user, struct control_request *request, const json_t *arguments)
{
    uint64_t minutes = 0;

    if (argument_unsigned(arguments, "minutes", &minutes) == 0 && minutes == 0)
        control_run_task(user, request, arguments, work_maintenance); /* may always end */
    else if (!is_refused(user, request))
        control_run_task(user, request, arguments, work_maintenance);
}
