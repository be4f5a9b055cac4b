/* How commands speak: results on standard output, talk on standard error, colour only on a terminal
 * and never with NO_COLOR. */
#pragma once

#include "controlplane/cmd/command.h"

#include <jansson.h>
#include <stdio.h>

/* What was wrong, with what, what to do next, and the stable code; one object with --json. Returns
 * the exit status that goes with the code. */
int haul_print_error(const struct haul_options *options, const struct haul_error *error);

/* True when escape sequences may go to this stream. */
bool haul_print_fancy(FILE *stream);

/* A line of talk on standard error; nothing with --quiet or --json. */
void haul_print_note(const struct haul_options *options, const char *format, ...) HAUL_PRINTF(2, 3);

/* One JSON object on a line of standard output, taken over and freed. */
void haul_print_json(json_t *object);

/* A name as it is; where it is not UTF-8, which JSON could not hold, as below. */
json_t *haul_print_name(const char *name);

/* A name or path from elsewhere, with control characters and bad UTF-8 made visible. */
void haul_print_escaped(const char *text, FILE *stream);
