/* The modes of yagura-storage: one row in main.c each, the code in the mode's own folder. */
#ifndef STORAGE_PROGRAM_STORAGE_MODE_H
#define STORAGE_PROGRAM_STORAGE_MODE_H

#include <stdbool.h>

#include "storage/settings/storage_settings.h"

/* argv[0] is the mode's name. Returns the exit code, or -1 for a wrong usage: main tells it. */
typedef int storage_mode_run(const struct storage_settings *settings, int argc, char **argv);

storage_mode_run storage_show_settings;
storage_mode_run storage_serve_lambda;
storage_mode_run storage_serve_poller;
storage_mode_run storage_run_action, storage_run_quarantine; /* storage/actions/ */
storage_mode_run storage_serve_gate, storage_make_gate_link; /* storage/gate/ */
storage_mode_run storage_serve_dead_letter;                  /* a function, or a poller elsewhere */
storage_mode_run storage_scan_bucket;
storage_mode_run storage_serve_object_lambda; /* storage/object_lambda/ */

/* Set by SIGTERM and SIGINT from now on. */
const bool *storage_stop_flag(void);

#endif
