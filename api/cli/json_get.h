#ifndef DEN_JSON_GET_H
#define DEN_JSON_GET_H

/* Reading members that may be absent, null or of another type. */

#include <jansson.h>

/* "" when there is no such text. */
static inline const char *den_get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* 0 when there is no such number. */
static inline double den_get_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

#endif
