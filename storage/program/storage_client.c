/* Opening the AWS client. */
#include "storage/program/storage_client.h"

#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>

int storage_client_open(struct aws_client **ret_client, char *problem, size_t problem_size)
{
    struct aws_settings settings = {.region = ""};
    const char *variable = "";

    if (aws_settings_from_environment(&settings, &variable) < 0) {
        (void)text_format(problem, problem_size, "the variable %s is too long", variable);
        return -EINVAL;
    }
    int r = aws_client_new(&settings, NULL, ret_client);
    aws_settings_wipe(&settings);
    if (r < 0)
        (void)text_format(problem, problem_size, "requests to AWS cannot be made: %s",
                          r == -EBADMSG ? "AWS_CA_BUNDLE or the proxy cannot be used"
                                        : log_error_text(r));
    return r < 0 && r != -ENOMEM ? -EINVAL : r;
}
