#include "json_in.h"

#include <string.h>

#include "str.h"

/* NOLINTNEXTLINE(misc-no-recursion): `left` bounds it */
static bool depth_within(json_t *value, int left)
{
    size_t i;
    const char *name;
    json_t *item;
    if (left == 0)
        return false;
    json_array_foreach(value, i, item)
    {
        if (!depth_within(item, left - 1))
            return false;
    }
    json_object_foreach(value, name, item)
    {
        if (!depth_within(item, left - 1))
            return false;
    }
    return true;
}

bool den_in_body(const struct den_request *request, json_t **ret, struct den_err *err)
{
    size_t length = 0;
    const char *body = den_request_body(request, &length);
    if (body == NULL || length == 0)
        return den_err_set(err, DEN_E_MALFORMED,
                           "the request has no body; a JSON object is needed");
    json_error_t at;
    json_t *root = json_loadb(body, length, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL)
        return den_err_set(err, DEN_E_MALFORMED,
                           "the body is not JSON: %s at line %d, column %d", at.text,
                           at.line, at.column);
    if (!json_is_object(root)) {
        bool failed =
            den_err_set(err, DEN_E_MALFORMED, "the body must be a JSON object, not %s",
                        den_json_kind(root));
        json_decref(root);
        return failed;
    }
    if (!depth_within(root, DEN_JSON_DEPTH)) {
        json_decref(root);
        return den_err_limit(err, DEN_E_MALFORMED, DEN_JSON_DEPTH, DEN_JSON_DEPTH + 1,
                             "the JSON body is nested deeper than %d levels",
                             DEN_JSON_DEPTH);
    }
    *ret = root;
    return true;
}

static bool in_list(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = names; length > 0 && (at = strstr(at, name)) != NULL;
         at += length)
        if ((at == names || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

bool den_in_only(const json_t *object, const char *at, const char *names,
                 struct den_err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (in_list(names, name))
            continue;
        char pointer[96], shown[64];
        (void)den_str_copy(shown, sizeof shown, name);
        (void)den_str_format(pointer, sizeof pointer, "%s/%s", at, shown);
        return den_err_field(err, DEN_E_MALFORMED, pointer,
                             "unknown member '%s'; allowed here: %s", shown, names);
    }
    return true;
}

const char *den_json_kind(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static bool wrong_type(const char *at, const char *name, const char *wanted,
                       const json_t *value, struct den_err *err)
{
    char pointer[96];
    (void)den_str_format(pointer, sizeof pointer, "%s/%s", at, name);
    if (value == NULL)
        return den_err_field(err, DEN_E_MALFORMED, pointer,
                             "'%s' is missing; it must be %s", name, wanted);
    return den_err_field(err, DEN_E_MALFORMED, pointer, "'%s' must be %s, not %s", name,
                         wanted, den_json_kind(value));
}

bool den_in_string(const json_t *object, const char *at, const char *name, bool required,
                   size_t max_bytes, const char **ret, struct den_err *err)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL && !required)
        return true;
    if (!json_is_string(value))
        return wrong_type(at, name, "a string", value, err);
    const char *text = json_string_value(value);
    char pointer[96];
    (void)den_str_format(pointer, sizeof pointer, "%s/%s", at, name);
    size_t length = json_string_length(value);
    if (length == 0)
        return den_err_field(err, DEN_E_INVALID, pointer, "'%s' must not be empty", name);
    if (length > max_bytes)
        return den_err_field(err, DEN_E_INVALID, pointer,
                             "'%s' has %zu bytes; at most %zu are allowed", name, length,
                             max_bytes);
    if (strlen(text) != length || !den_utf8_printable(text))
        return den_err_field(err, DEN_E_INVALID, pointer,
                             "'%s' must be text without control characters", name);
    *ret = text;
    return true;
}

bool den_in_integer(const json_t *object, const char *at, const char *name, int64_t min,
                    int64_t max, bool *ret_found, int64_t *ret, struct den_err *err)
{
    const json_t *value = json_object_get(object, name);
    *ret_found = value != NULL;
    if (value == NULL)
        return true;
    if (!json_is_integer(value))
        return wrong_type(at, name, "a whole number", value, err);
    json_int_t number = json_integer_value(value);
    if (number < min || number > max) {
        char pointer[96];
        (void)den_str_format(pointer, sizeof pointer, "%s/%s", at, name);
        return den_err_field(err, DEN_E_INVALID, pointer,
                             "'%s' is %lld; allowed are %lld to %lld", name,
                             (long long)number, (long long)min, (long long)max);
    }
    *ret = number;
    return true;
}

bool den_in_array(const json_t *object, const char *at, const char *name, bool required,
                  size_t max_items, json_t **ret, struct den_err *err)
{
    json_t *value = json_object_get(object, name);
    if (value == NULL && !required)
        return true;
    if (!json_is_array(value))
        return wrong_type(at, name, "an array", value, err);
    size_t count = json_array_size(value);
    char pointer[96];
    (void)den_str_format(pointer, sizeof pointer, "%s/%s", at, name);
    if (count == 0)
        return den_err_field(err, DEN_E_INVALID, pointer, "'%s' must not be empty", name);
    if (count > max_items) {
        (void)den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)max_items, (int64_t)count,
                            "'%s' has %zu items; at most %zu are allowed", name, count,
                            max_items);
        return false;
    }
    *ret = value;
    return true;
}

bool den_in_object(const json_t *object, const char *at, const char *name, json_t **ret,
                   struct den_err *err)
{
    json_t *value = json_object_get(object, name);
    if (value == NULL)
        return true;
    if (!json_is_object(value))
        return wrong_type(at, name, "an object", value, err);
    *ret = value;
    return true;
}

bool den_json_scalar_text(const json_t *value, char *to, size_t size)
{
    if (json_is_string(value))
        return strlen(json_string_value(value)) == json_string_length(value) &&
               den_str_copy(to, size, json_string_value(value));
    if (json_is_integer(value))
        return den_str_format(to, size, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return den_str_format(to, size, "%.17g", json_real_value(value));
    if (json_is_boolean(value))
        return den_str_copy(to, size, json_is_true(value) ? "true" : "false");
    return false;
}
