/* A decoder may have been taken over by its file: forged answers are found out. */

#include <errno.h>
#include <sys/socket.h>

#include "jail_case.h"

/* ---- decoders that lie --------------------------------------------------------------
 */

static struct den_image_info honest(void)
{
    struct den_image_info info = image_info("tiff", DEN_U16, 100, 80, 6);
    info.bits = 12;
    info.pixel_size_um = 0.25;
    info.axes =
        (struct den_axes){.source = "ome", .t = 3, .z = 1, .c = 2, .order = "CZT"};
    (void)den_str_copy(info.axes.channel_names[0], DEN_AXIS_NAME_SIZE, "DAPI");
    return info;
}

/* Bytes `value` at a member of the info. */
#define LIE(name, member, ...)                               \
    {                                                        \
        name, offsetof(struct den_image_info, member),       \
            sizeof(((struct den_image_info *)NULL)->member), \
        {                                                    \
            __VA_ARGS__                                      \
        }                                                    \
    }

static const struct {
    const char *name;
    size_t at, size;
    unsigned char bytes[16]; /* repeated to the member's size */
} lies[] = {
    LIE("a format without an end", format, 'p', 'n', 'g', ' ', ' ', ' ', ' ', ' '),
    LIE("a format that does not exist", format, 'b', 'm', 'p'),
    LIE("no width", width, 0),
    LIE("a width above the limit", width, 0, 0, 2, 0),
    LIE("no height", height, 0),
    LIE("a height above all", height, 0xff, 0xff, 0xff, 0xff),
    LIE("no page", pages, 0),
    LIE("pages above the limit", pages, 0xff, 0xff, 0xff, 0xff),
    LIE("pages that are not the axes'", pages, 7),
    LIE("more pixels than the file can hold", width, 0, 0x80, 0, 0),
    LIE("no channel", channels, 0),
    LIE("five channels", channels, 5),
    LIE("a bool of 2", alpha, 2),
    LIE("opacity alone", alpha, 1),
    LIE("a pixel type that does not exist", dtype, DEN_DTYPES),
    LIE("a negative pixel type", dtype, 0xff, 0xff, 0xff, 0xff),
    LIE("no bits", bits, 0),
    LIE("17 bits of 16", bits, 17),
    LIE("a pixel size that is no number", pixel_size_um, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f),
    LIE("a negative pixel size", pixel_size_um, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf),
    LIE("axes without an end", axes.source, 'o', 'o', 'o', 'o', 'o', 'o', 'o', 'o'),
    LIE("a control character", axes.source, 'o', 7),
    LIE("no time", axes.t, 0),
    LIE("products that overflow", axes.z, 0xff, 0xff, 0xff, 0xff),
    LIE("an axis twice", axes.order, 'T', 'T', 'Z', 0),
    LIE("an unknown axis", axes.order, 'T', 'Z', 'X', 0),
    LIE("an order without an end", axes.order, 'T', 'Z', 'C', 'T'),
    LIE("an endless step", axes.z_step_um, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f),
    LIE("a name without an end", axes.channel_names[7], 'n', 'n', 'n', 'n', 'n', 'n', 'n',
        'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n'),
    LIE("a name that is no UTF-8", axes.channel_names[0], 0xff, 0xfe, 0),
};

START_TEST(what_a_decoder_says_is_checked)
{
    const struct den_image_limits limits = den_image_limits_default();
    struct den_image_info info = honest();
    ck_assert(den_jail_check_info(&info, 1000, &limits));
    unsigned char *member = (unsigned char *)&info + lies[_i].at;
    for (size_t i = 0; i < lies[_i].size; i++)
        member[i] = lies[_i].bytes[i % sizeof lies[_i].bytes];
    ck_assert_msg(!den_jail_check_info(&info, 1000, &limits), "%s", lies[_i].name);
}
END_TEST

START_TEST(true_answers_pass)
{
    const struct den_image_limits limits = den_image_limits_default();
    struct den_image_info info = honest();
    info.axes = (struct den_axes){.source = ""};
    ck_assert(den_jail_check_info(&info, 1000, &limits));
    info.channels = 4;
    info.alpha = true;
    ck_assert(den_jail_check_info(&info, 1000, &limits));
    info.dtype = DEN_F64;
    ck_assert(!den_jail_check_info(&info, 1000, &limits)); /* of 12 bits? */
    info.bits = 64;
    ck_assert(den_jail_check_info(&info, 1000, &limits));
}
END_TEST

START_TEST(what_a_decoder_complains_about_is_checked)
{
    struct den_err good = DEN_ERR_INIT, bad;
    den_err_set(&good, DEN_E_UNPROCESSABLE, "page 3 is damaged");
    ck_assert(den_jail_check_err(&good));
    bad = good;
    bad.code = DEN_OK;
    ck_assert(!den_jail_check_err(&bad));
    bad.code = DEN_CODES;
    ck_assert(!den_jail_check_err(&bad));
    bad.code = (enum den_code) - 1;
    ck_assert(!den_jail_check_err(&bad));
    bad.code = DEN_E_CANCELLED; /* nothing that a file can cause */
    ck_assert(!den_jail_check_err(&bad));
    bad = good;
    bad.text[0] = '\0';
    ck_assert(!den_jail_check_err(&bad));
    bad = good;
    bad.text[4] = '\n';
    ck_assert(!den_jail_check_err(&bad));
    bad = good;
    memset(bad.text, 'x', sizeof bad.text);
    ck_assert(!den_jail_check_err(&bad));
    bad = good;
    memset(bad.field, 'x', sizeof bad.field);
    ck_assert(!den_jail_check_err(&bad));
}
END_TEST

/* ---- messages -----------------------------------------------------------------------
 */

START_TEST(messages_of_a_wrong_size_are_refused_and_their_descriptors_closed)
{
    int pair[2], got[DEN_JAIL_FDS] = {-1, -1, -1};
    size_t count = 9;
    char data[8] = "1234567";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    size_t before = open_descriptors();
    const int two[] = {pair[0], pair[1]};
    ck_assert_int_eq(den_jail_send(pair[0], data, 8, two, 2), 0);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, got, 3, &count), EBADMSG);
    ck_assert_int_eq(den_jail_send(pair[0], data, 6, two, 2), 0);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, got, 3, &count), EBADMSG);
    ck_assert_int_eq(den_jail_send(pair[0], data, 7, two, 2), 0);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, got, 1, &count), EBADMSG);
    ck_assert_int_eq(den_jail_send(pair[0], data, 7, two, 2), 0);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, NULL, 0, NULL), 0);
    ck_assert_uint_eq(open_descriptors(), before);
    ck_assert_int_eq(den_jail_send(pair[0], data, 7, two, 2), 0);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, got, 2, &count), 0);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(open_descriptors(), before + 2);
    den_jail_close_all(got, count);
    close(pair[0]);
    ck_assert_int_eq(den_jail_receive(pair[1], data, 7, got, 2, &count), EPIPE);
    close(pair[1]);
}
END_TEST

enum { LIES = sizeof lies / sizeof *lies };

int main(void)
{
    Suite *suite = suite_create("jail lies");
    TCase *lying = tcase_create("lying");
    tcase_add_loop_test(lying, what_a_decoder_says_is_checked, 0, LIES);
    tcase_add_test(lying, true_answers_pass);
    tcase_add_test(lying, what_a_decoder_complains_about_is_checked);
    tcase_add_test(lying,
                   messages_of_a_wrong_size_are_refused_and_their_descriptors_closed);
    suite_add_tcase(suite, lying);
    return den_check_main(suite);
}
