#ifndef DEN_SETTINGS_H
#define DEN_SETTINGS_H

/* "key=value" words of the command line as the config object of a request. */

#include <jansson.h>

#include "cli.h"

/* Adds the settings of --set to config: booleans and numbers as such, else text. */
bool den_settings_add(const struct den_args *args, json_t *config,
                      struct den_err *err) DEN_CHECKED;
/* The JSON value that `text` reads as. */
json_t *den_setting_value(const char *text);

#endif
