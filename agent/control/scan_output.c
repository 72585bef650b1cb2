/* Owns how a scan's results look. */
#include "agent/control/scan_output.h"
#include "agent/control/messages.h"

#include "agent/control/command.h"
#include "agent/control/display.h"
#include "common/text/text.h"

static void print_result(const json_t *result)
{
    const char *verdict = member_text(result, "verdict");
    const char *reason = member_text(result, "reason");
    bool infected = text_equal(verdict, "infected");
    display_progress_clear();
    display_print(member_text(result, "path"));
    (void)printf(": %s%s%s",
                 infected                       ? display_colour(COLOUR_RED)
                 : text_equal(verdict, "clean") ? display_colour(COLOUR_GREEN)
                                                : display_colour(COLOUR_YELLOW),
                 verdict, display_colour(COLOUR_PLAIN));
    if (infected) {
        (void)putchar(' ');
        display_print(member_text(result, "signature"));
    } else if (reason[0] != '\0' && !text_equal(reason, "none")) {
        (void)printf(" (");
        display_print(reason);
        (void)putchar(')');
    }
    (void)putchar('\n');
}

static void draw_progress(const json_t *totals)
{
    char line[256], seen[DISPLAY_BYTES], all[DISPLAY_BYTES], found[DISPLAY_BYTES];
    uint64_t done = member_number(totals, "files_scanned") + member_number(totals, "files_cached");
    bool walking = json_is_true(json_object_get(totals, "walking"));
    uint64_t total = MAX(member_number(totals, "files_expected"), done);
    (void)text_format(line, sizeof(line), say("%s of %s%s files, %s infected%s"),
                      display_count(seen, done), display_count(all, total), walking ? "+" : "",
                      display_count(found, member_number(totals, "infected")),
                      json_is_true(json_object_get(totals, "paused"))
                          ? say(" (paused: the host is busy)")
                          : "");
    /* How far it is can be said only once all files are known. */
    display_progress(walking ? 0 : done, total, line);
}

static void print_totals(const json_t *totals)
{
    static const struct {
        const char *key, *what;
    } rows[] = {
        {"infected", "infected"},
        {"incomplete", "incomplete: not all of it could be looked at"},
        {"errors", "not scanned because of errors"},
        {"files_cached", "unchanged since an earlier verdict"},
        {"files_excluded", "excluded"},
        {"unsent", "results left out because the output was not read in time"},
    };
    char count[DISPLAY_BYTES], size[DISPLAY_BYTES];
    display_progress_clear();
    (void)printf(member_number(totals, "files_seen") == 1 ? say("%s file, %s: %s clean")
                                                          : say("%s files, %s: %s clean"),
                 display_count(count, member_number(totals, "files_seen")),
                 display_size(size, member_number(totals, "bytes")),
                 display_count((char[DISPLAY_BYTES]){0}, member_number(totals, "clean")));
    (void)putchar('\n');
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (member_number(totals, rows[i].key) > 0)
            (void)printf("  %s %s\n", display_count(count, member_number(totals, rows[i].key)),
                         say(rows[i].what));
    }
}

int scan_output_line(void *user, const char *key, const json_t *value, const char *text)
{
    struct scan_output *output = user;
    bool totals = text_equal(key, "totals");
    output->has_totals = output->has_totals || totals;
    if (text_equal(key, "progress")) {
        if (!output->json)
            draw_progress(value);
        return 0;
    }
    if (output->json)
        (void)printf("{\"%s\":%s}\n", totals ? "totals" : "result", text);
    else if (totals)
        print_totals(value);
    else
        print_result(value);
    return fflush(stdout) != 0 ? command_fail("the output could not be written") : 0;
}

void scan_output_end(struct scan_output *output, int exit_code)
{
    if (!output->json && !output->has_totals && exit_code != EXIT_CLEAN)
        display_progress_clear();
}
