/* A secret that a setting points to: in a file, or as a SecureString of Parameter Store. One
 * thread. */
#ifndef STORAGE_SETTINGS_STORAGE_SECRET_H
#define STORAGE_SETTINGS_STORAGE_SECRET_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "storage/settings/storage_settings.h"

#define STORAGE_SECRET_BYTES 4097

/* Without blanks and line ends around it. The file counts before the parameter; "" when neither is
 * set. -EIO with a problem for a person; the caller wipes the text (explicit_bzero). */
int storage_secret_load(const struct storage_settings *settings, enum storage_setting file,
                        enum storage_setting parameter, struct aws_client *client,
                        char ret_secret[static STORAGE_SECRET_BYTES], char *problem,
                        size_t problem_size) MUST_USE;

#endif
