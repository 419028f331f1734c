/* Base64 as it comes from outside. */

#include <string.h>

#include "base64.h"
#include "den_check.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

typedef bool decoder(const char *text, size_t length, uint8_t *to, size_t size,
                     size_t *ret_length);

enum { ROOM = 6 };

static const struct {
    decoder *decode;
    const char *text, *want; /* NULL: refused */
} cases[] = {
    /* The vectors of RFC 4648, section 10. */
    {den_base64_decode, "", ""},
    {den_base64_decode, "Zg==", "f"},
    {den_base64_decode, "Zm8=", "fo"},
    {den_base64_decode, "Zm9v", "foo"},
    {den_base64_decode, "Zm9vYg==", "foob"},
    {den_base64_decode, "Zm9vYmE=", "fooba"},
    {den_base64_decode, "Zm9vYmFy", "foobar"},
    {den_base64_decode, "Zm9v\nYmFy", "foobar"},
    {den_base64_decode, "Zm9vYmFyYg==", NULL}, /* 7 bytes */
    {den_base64_decode, "Zm9vYmFyYmFy", NULL},
    {den_base64_decode, "Zm9vYmFyYmFyYmFyYmFyYmFy", NULL},
    {den_base64_decode, "Zg", NULL}, /* no padding */
    {den_base64_decode, "Zg=", NULL},
    {den_base64_decode, "Zg===", NULL},
    {den_base64_decode, "Zg==Zg==", NULL}, /* goes on behind its end */
    {den_base64_decode, "Z", NULL},
    {den_base64_decode, "=", NULL},
    {den_base64_decode, "Zh==", NULL}, /* bits that say nothing */
    {den_base64_decode, "Zm9*", NULL},
    {den_base64_decode, "Zm9\xc3\xa4", NULL},
    /* The two characters in which the alphabets differ. */
    {den_base64_decode, "+/+/", "\xfb\xff\xbf"},
    {den_base64_decode, "-_-_", NULL},
    {den_base64url_decode, "-_-_", "\xfb\xff\xbf"},
    {den_base64url_decode, "+/+/", NULL},
    {den_base64url_decode, "Zm9vYg==", "foob"},
    {den_base64url_decode, "Zm9vYg", NULL},
};

START_TEST(what_is_base64_is_decoded_and_the_rest_refused)
{
    const char *text = cases[_i].text, *want = cases[_i].want;
    uint8_t room[ROOM + 1];
    size_t length = 99;
    memset(room, '#', sizeof room);
    bool good = cases[_i].decode(text, strlen(text), room, ROOM, &length);
    ck_assert_msg(good == (want != NULL), "%s", text);
    ck_assert_uint_eq(length, good ? strlen(want) : 99);
    if (good)
        ck_assert_mem_eq(room, want, length);
    ck_assert_uint_eq(room[ROOM], '#');
}
END_TEST

START_TEST(a_nul_is_no_base64_and_may_be_decoded)
{
    uint8_t room[ROOM];
    size_t length = 0;
    ck_assert(!den_base64_decode("Zm\0v", 4, room, sizeof room, &length));
    ck_assert(den_base64_decode("AGEA", 4, room, sizeof room, &length));
    ck_assert_uint_eq(length, 3);
    ck_assert_mem_eq(room, "\0a", 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base64");
    TCase *tc = tcase_create("base64");
    tcase_add_loop_test(tc, what_is_base64_is_decoded_and_the_rest_refused, 0,
                        COUNT(cases));
    tcase_add_test(tc, a_nul_is_no_base64_and_may_be_decoded);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
