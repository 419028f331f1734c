#include "settings.h"

#include <string.h>

#include "str.h"

json_t *den_setting_value(const char *text)
{
    bool flag;
    int64_t whole;
    double real;
    if (den_parse_bool(text, &flag, NULL))
        return json_boolean(flag);
    if (den_parse_int(text, INT64_MIN, INT64_MAX, &whole, NULL))
        return json_integer(whole);
    if (den_parse_double(text, -1e300, 1e300, &real, NULL))
        return json_real(real);
    return json_string(text);
}

bool den_settings_add(const struct den_args *args, json_t *config, struct den_err *err)
{
    const char *word;
    for (size_t i = 0; (word = den_args_at(args, "set", i)) != NULL; i++) {
        size_t length = strcspn(word, "=");
        char key[64];
        if (length == 0 || word[length] != '=' || word[length + 1] == '\0' ||
            !den_str_format(key, sizeof key, "%.*s", (int)length, word))
            return den_err_set(err, DEN_E_INVALID,
                               "--set '%.60s' is not of the form key=value", word);
        if (json_object_get(config, key) != NULL)
            return den_err_set(err, DEN_E_INVALID, "--set %s is given twice", key);
        if (json_object_set_new(config, key, den_setting_value(word + length + 1)) != 0)
            return den_err_set(err, DEN_E_INVALID, "--set '%.60s' is not UTF-8", word);
    }
    return true;
}
