#include "denoise_request.h"

#include <string.h>

#include "settings.h"
#include "str.h"

/* Options that are settings of the filter under the same name. */
static const char *const shortcuts[] = {"sigma", "radius"};

/* "0,2" as [0, 2]. */
static bool read_channels(const char *text, json_t **ret, struct den_err *err)
{
    json_t *list = text != NULL ? json_array() : NULL;
    for (const char *at = text; at != NULL;) {
        char word[16];
        int64_t number = 0;
        size_t length = strcspn(at, ",");
        if (!den_str_format(word, sizeof word, "%.*s", (int)length, at) ||
            !den_parse_int(word, 0, UINT32_MAX, &number, NULL)) {
            json_decref(list);
            return den_err_set(err, DEN_E_INVALID,
                               "--channels '%.60s' is not a list of numbers, as in 0,2",
                               text);
        }
        (void)json_array_append_new(list, json_integer(number));
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    *ret = list;
    return true;
}

json_t *den_denoise_request(const struct den_args *args, struct den_err *err)
{
    json_t *config = NULL, *channels = NULL, *request = NULL;
    if (den_args_has(args, "model") == den_args_has(args, "method")) {
        (void)den_err_set(err, DEN_E_INVALID,
                          "give either --model NAME or --method FILTER");
        return NULL;
    }
    config = json_object();
    if (!den_settings_add(args, config, err) ||
        !read_channels(den_args_text(args, "channels"), &channels, err))
        goto out;
    for (size_t i = 0; i < sizeof shortcuts / sizeof shortcuts[0]; i++) {
        const char *text = den_args_text(args, shortcuts[i]);
        if (text != NULL)
            (void)json_object_set_new(config, shortcuts[i], den_setting_value(text));
    }
    request =
        json_pack("{ss ss* ss* ss* ss* so*}", "kind", "denoise", "model",
                  den_args_text(args, "model"), "method", den_args_text(args, "method"),
                  "pages", den_args_text(args, "pages"), "priority",
                  den_args_text(args, "priority"), "channels", channels);
    if (request == NULL)
        (void)den_err_set(err, DEN_E_INVALID, "names must be UTF-8");
    else if (json_object_size(config) > 0)
        (void)json_object_set(request, "config", config);
out:
    json_decref(config);
    return request;
}
