#ifndef DEN_JSON_IN_H
#define DEN_JSON_IN_H

/* Strict reading of JSON request bodies: duplicate and unknown members, wrong types and
 * excessive depth are refused with the JSON Pointer of the place. */

#include <jansson.h>

#include "http.h"

#define DEN_JSON_DEPTH 32

/* The body as an object; the caller decrefs.  DEN_E_MALFORMED with line and column. */
bool den_in_body(const struct den_request *request, json_t **ret,
                 struct den_err *err) DEN_CHECKED;
/* Every member of object must be one of `names` (separated by spaces).  at: pointer of
 * the object,
 * "" for the root. */
bool den_in_only(const json_t *object, const char *at, const char *names,
                 struct den_err *err) DEN_CHECKED;
/* Members; *ret stays untouched when the member is absent and not required. */
bool den_in_string(const json_t *object, const char *at, const char *name, bool required,
                   size_t max_bytes, const char **ret, struct den_err *err) DEN_CHECKED;
bool den_in_integer(const json_t *object, const char *at, const char *name, int64_t min,
                    int64_t max, bool *ret_found, int64_t *ret,
                    struct den_err *err) DEN_CHECKED;
bool den_in_array(const json_t *object, const char *at, const char *name, bool required,
                  size_t max_items, json_t **ret, struct den_err *err) DEN_CHECKED;
bool den_in_object(const json_t *object, const char *at, const char *name, json_t **ret,
                   struct den_err *err) DEN_CHECKED;
/* "a string", "an object", ...: for sentences. */
const char *den_json_kind(const json_t *value);
/* A scalar as text ("3", "0.25", "true", "linear"); false for arrays, objects, null, and
 * text that does not fit. */
bool den_json_scalar_text(const json_t *value, char *to, size_t size);

#endif
