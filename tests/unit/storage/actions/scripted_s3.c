#include "tests/unit/storage/actions/scripted_s3.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool fits(const struct step *step, const struct stand_in_request *request)
{
    return text_equal(request->method, step->method) &&
           strstr(request->target, step->in_target) != NULL &&
           (step->in_body == NULL || strstr(request->body, step->in_body) != NULL) &&
           (step->not_in_body == NULL || strstr(request->body, step->not_in_body) == NULL);
}

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct world *world = user;

    if (world->at >= world->count || !fits(&world->steps[world->at], request)) {
        (void)fprintf(stderr, "step %zu: %s %s %s\n", world->at, request->method, request->target,
                      request->body);
        world->strayed = true;
        stand_in_write(text, size, 400, "", "");
        return;
    }
    if (world->at < ARRAY_LENGTH(world->heads))
        (void)text_copy(world->heads[world->at], sizeof world->heads[0], request->head);
    const struct step *step = &world->steps[world->at++];
    stand_in_write(text, size, step->status, step->lines, step->body);
}

static void no_sleep(void *user UNUSED, uint64_t ns UNUSED) {}

int scripted_s3_begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct aws_settings settings = {.region = "eu-west-1",
                                    .metadata_disabled = true,
                                    .keys = {"testing", "secret", ""}};

    if (world == NULL)
        return -1;
    world->stand_in.answer = answer;
    world->stand_in.user = world;
    stand_in_start(&world->stand_in);
    (void)text_copy(settings.endpoint, sizeof settings.endpoint, world->stand_in.url);
    int r = aws_client_new(&settings, NULL, &world->client);
    if (r == 0) {
        aws_client_set_sleep(world->client, no_sleep, NULL);
        aws_client_set_patience(world->client, 0, 1);
    }
    *state = world;
    return r;
}

int scripted_s3_end(void **state)
{
    struct world *world = *state;

    stand_in_stop(&world->stand_in);
    (void)aws_client_free(world->client);
    free(world);
    return 0;
}

void scripted_s3_load(struct world *world, const struct step *steps, size_t count)
{
    world->steps = steps;
    world->count = count;
    world->at = 0;
}

void scripted_s3_check(const struct world *world)
{
    assert_false(world->strayed);
    assert_int_equal(world->at, world->count);
}
