#ifndef DEN_DENOISE_REQUEST_H
#define DEN_DENOISE_REQUEST_H

/* A denoise job from the options of the commands that start one. */

#include <jansson.h>

#include "cli.h"

/* Rows for their option tables. */
#define DEN_DENOISE_OPTIONS                                                           \
    {"model", 'm', DEN_OPTION_VALUE, "NAME[@VERSION]",                                \
     "a model of the server; also NAME@champion"},                                    \
        {"method", 0, DEN_OPTION_VALUE, "FILTER",                                     \
         "a filter instead (`denoise methods` lists them)"},                          \
        {"sigma", 0, DEN_OPTION_VALUE, "PIXELS", "of --method gaussian"},             \
        {"radius", 0, DEN_OPTION_VALUE, "PIXELS", "of --method median"},              \
        {"set", 0, DEN_OPTION_REPEAT, "KEY=VALUE", "any other option of the filter"}, \
        {"priority", 0, DEN_OPTION_VALUE, "interactive|batch",                        \
         "batch lets single images of all others go first"},                          \
        {"channels", 0, DEN_OPTION_VALUE, "LIST",                                     \
         "only these channels, as in 0,2; the first is 0 (default all)"},             \
    {                                                                                 \
        "pages", 0, DEN_OPTION_VALUE, "LIST",                                         \
            "only these pages, as in 0-9,12; the first is 0 (default all)"            \
    }

/* The request but for its image; NULL on failure. */
json_t *den_denoise_request(const struct den_args *args, struct den_err *err);

#endif
