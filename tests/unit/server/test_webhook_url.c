/* Where webhooks may go: the ways that people have found around such rules. */

#include <arpa/inet.h>
#include <string.h>

#include "den_check.h"
#include "str.h"
#include "webhook_url.h"

#define HOSTS "hooks.example.org ci.lab.example:8443"

/* Spellings of hosts, each tried with some schemes, ports and paths. */
static const char *const hosts[] = {
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[fe80::1%25lo]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "metadata.google.internal",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "example.org",
    "hooks.example.org.evil.com",
    "evil-hooks.example.org",
    "hooks.example.orgevil.com",
    "a.hooks.example.org",
    "hooks.example.org.",

    "hooks.example.org%00.evil.com",
    "hooks.example.org%20",
    "user@hooks.example.org",
    "user:word@hooks.example.org",
    "hooks.example.org@evil.com",
    "hooks.example.org:443@evil.com",
    "evil.com#@hooks.example.org",
    "evil.com\\@hooks.example.org",
    "evil.com?@hooks.example.org",
    "hooks.example.org:80",
    "hooks.example.org:8443",
    "hooks.example.org:0",
    "hooks.example.org:65536",
    "hooks.example.org:-1",
    "ci.lab.example",
    "ci.lab.example:443",
    "",
    "*",
    "..",
    "xn--hooks-example.org",
};
static const char *const forms[][2] = {
    {"https://", "/"}, {"https://", "/path?query"}, {"https://", ""}, {"HTTPS://", "/"}};
static const char *const others[] = {
    "http://hooks.example.org/",
    "ftp://hooks.example.org/",
    "file:///etc/passwd",
    "gopher://hooks.example.org/",
    "dict://hooks.example.org/",
    "//hooks.example.org/",
    "hooks.example.org/",
    "/hooks.example.org",
    "javascript:alert(1)",
    "https:",
    "https:/hooks.example.org/",
    "https:///hooks.example.org/",
    "https:hooks.example.org/",
    "https://hooks.example.org/ x",
    "https://hooks.example.org/\r\nX: y",
    "https://hooks.example.org/\tx",
    "https://hooks.example.org/#part",
    "https://hooks.exampl\xc3\xa9.org/",
    " ",
    "https://hooks.example.org\\/",
    "https://hooks.example.org/\x7f",
    "data:,x",
    "unix:/run/x.sock",
    "https+unix://hooks.example.org/",
};

static void refuse(const char *url)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert_msg(!den_webhook_check(url, HOSTS, &err), "'%s' is allowed", url);
    ck_assert_int_eq(err.code, DEN_E_INVALID);
}

START_TEST(only_named_hosts_may_be_called_however_others_are_spelled)
{
    char url[600];
    int count = 0;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
            (void)snprintf(url, sizeof url, "%s%s%s", forms[k][0], hosts[i], forms[k][1]);
            refuse(url);
            count++;
        }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++, count++)
        refuse(others[i]);
    (void)snprintf(url, sizeof url, "https://hooks.example.org/%0550d", 1);
    refuse(url);
    printf("%d forms of URL refused\n", count + 1);
}
END_TEST

static const char *const allowed[] = {
    "https://hooks.example.org/",     "https://hooks.example.org",
    "https://hooks.example.org:443/", "https://hooks.example.org/a/b?c=d&e=%20",
    "https://ci.lab.example:8443/x",
};

START_TEST(named_hosts_may_be_called)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert_msg(den_webhook_check(allowed[_i], HOSTS, &err), "%s: %s", allowed[_i],
                  err.text);
    ck_assert(!den_webhook_check(allowed[_i], "", &err)); /* off */
}
END_TEST

static const struct {
    const char *address;
    bool is_public;
} addresses[] = {
    {"8.8.8.8", true},
    {"1.1.1.1", true},
    {"11.0.0.1", true},
    {"100.63.255.255", true},
    {"100.128.0.0", true},
    {"172.15.255.255", true},
    {"172.32.0.0", true},
    {"192.0.3.1", true},
    {"198.17.255.255", true},
    {"198.20.0.0", true},
    {"223.255.255.255", true},
    {"2a00:1450:4001::1", true},
    {"2606:4700::1111", true},
    {"::ffff:8.8.8.8", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"10.0.0.1", false},
    {"10.255.255.255", false},
    {"100.64.0.1", false},
    {"127.0.0.1", false},
    {"127.255.255.254", false},
    {"169.254.169.254", false},
    {"172.16.0.1", false},
    {"172.31.255.255", false},
    {"192.0.0.8", false},
    {"192.0.2.1", false},
    {"192.168.0.1", false},
    {"198.18.0.1", false},
    {"198.51.100.1", false},
    {"203.0.113.9", false},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::127.0.0.1", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:10.0.0.1", false},
    {"::ffff:169.254.169.254", false},
    {"64:ff9b::a00:1", false},
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"2001::1", false},
    {"2001:db8::1", false},
    {"2002:7f00:1::", false},
    {"3fff::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
};

static bool is_allowed(const char *text, const char *networks)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_networks rows;
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    must(den_networks_read(networks, &rows, &err));
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return den_webhook_address((const struct sockaddr *)&four, &rows);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return den_webhook_address((const struct sockaddr *)&six, &rows);
}

START_TEST(only_public_addresses_may_be_called)
{
    ck_assert_msg(is_allowed(addresses[_i].address, "") == addresses[_i].is_public, "%s",
                  addresses[_i].address);
}
END_TEST

START_TEST(networks_of_the_lab_can_be_added)
{
    ck_assert(is_allowed("10.1.2.3", "10.1.0.0/16 fd00::/8"));
    ck_assert(is_allowed("::ffff:10.1.2.3", "10.1.0.0/16"));
    ck_assert(!is_allowed("10.2.0.1", "10.1.0.0/16 fd00::/8"));
    ck_assert(is_allowed("fd00::7", "10.1.0.0/16 fd00::/8"));
    ck_assert(!is_allowed("127.0.0.1", "10.1.0.0/16 fd00::/8"));
    ck_assert(is_allowed("127.0.0.1", "127.0.0.1/32"));
    ck_assert(!is_allowed("127.0.0.2", "127.0.0.1/32"));
}
END_TEST

START_TEST(what_is_no_network_is_told)
{
    static const char *const bad[] = {
        "10.0.0.0",   "10.0.0.0/33", "10.0.0.0/-1",        "x/8",
        "fd00::/129", "10.0.0/8",    "10.0.0.0/8,fd00::/8"};
    struct den_networks rows;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct den_err err = DEN_ERR_INIT;
        ck_assert_msg(!den_networks_read(bad[i], &rows, &err), "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "is not a network"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhook url");
    TCase *tc = tcase_create("webhook url");
    tcase_add_test(tc, only_named_hosts_may_be_called_however_others_are_spelled);
    tcase_add_loop_test(tc, named_hosts_may_be_called, 0,
                        sizeof allowed / sizeof *allowed);
    tcase_add_loop_test(tc, only_public_addresses_may_be_called, 0,
                        sizeof addresses / sizeof *addresses);
    tcase_add_test(tc, networks_of_the_lab_can_be_added);
    tcase_add_test(tc, what_is_no_network_is_told);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
