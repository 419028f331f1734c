#include "base64.h"

#include <nettle/base64.h>

/* One by one: base64_decode_update wants up to 3 bytes more room than it fills. */
static bool decode(struct base64_decode_ctx *state, const char *text, size_t length,
                   uint8_t *to, size_t size, size_t *ret_length)
{
    size_t got = 0;
    if (BASE64_DECODE_LENGTH(length) > size + 3) /* not even begun with */
        return false;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte;
        int bytes = base64_decode_single(state, &byte, text[i]);
        if (bytes < 0 || (bytes > 0 && got == size))
            return false;
        if (bytes > 0)
            to[got++] = byte;
    }
    if (!base64_decode_final(state))
        return false;
    *ret_length = got;
    return true;
}

bool den_base64_decode(const char *text, size_t length, uint8_t *to, size_t size,
                       size_t *ret_length)
{
    struct base64_decode_ctx state;
    base64_decode_init(&state);
    return decode(&state, text, length, to, size, ret_length);
}

bool den_base64url_decode(const char *text, size_t length, uint8_t *to, size_t size,
                          size_t *ret_length)
{
    struct base64_decode_ctx state;
    base64url_decode_init(&state);
    return decode(&state, text, length, to, size, ret_length);
}
