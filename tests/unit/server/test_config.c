/* Settings: where they come from, which source wins, and what is refused. */

#include <math.h>
#include <string.h>

#include "config.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static char file[64];

static void make_file(const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    den_str_copy(file, sizeof file, "/tmp/den_config_XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    must(den_fs_write_fd(fd, text, strlen(text), &err));
    close(fd);
}

static void remove_file(void)
{
    if (file[0] != '\0')
        unlink(file);
}

/* A command line or environment of up to 6 words. */
struct words {
    const char *word[7];
};

static bool load(const struct words *arguments, const struct words *environment,
                 struct den_config *ret, enum den_config_action *ret_action,
                 struct den_err *err)
{
    static char text[14][1100];
    char *argv[9] = {text[0]}, *env[7] = {NULL};
    int used = 0;
    den_str_copy(text[used++], sizeof text[0], "denoised");
    for (int i = 0; arguments->word[i] != NULL; i++) {
        den_str_copy(text[used], sizeof text[0],
                     strcmp(arguments->word[i], "FILE") == 0 ? file : arguments->word[i]);
        argv[i + 1] = text[used++];
    }
    for (int i = 0; environment != NULL && environment->word[i] != NULL; i++) {
        den_str_copy(text[used], sizeof text[0], environment->word[i]);
        env[i] = text[used++];
    }
    return den_config_load(argv, env, ret, ret_action, err);
}

START_TEST(every_default_is_allowed_and_told)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    struct den_buf out;
    must(load(&(struct words){{NULL}}, NULL, &config, &action, &err));
    ck_assert_int_eq(action, DEN_ACTION_SERVE);
    ck_assert_str_eq(config.address, "127.0.0.1");
    ck_assert_uint_eq(config.port, 8080);
    ck_assert_str_eq(config.store, "sqlite");
    ck_assert_int_eq(config.queue_limit, 1000);
    close_to(config.checkpoint_seconds, 60, 0);
    den_buf_init(&out, 1 << 16);
    den_config_help(&out);
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        char flag[64];
        den_str_format(flag, sizeof flag, "--%s ", row->key);
        ck_assert_msg(strstr(out.data, flag) != NULL, "%s", row->key);
        ck_assert_msg(strlen(row->help) > 10, "%s", row->key);
        ck_assert_int_eq(config.origins[row - den_config_rows], DEN_ORIGIN_DEFAULT);
        ck_assert(!den_config_given(&config, row->key));
    }
    den_buf_release(&out);
}
END_TEST

START_TEST(a_value_that_was_given_is_known_from_a_default)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    must(load(&(struct words){{"--retention_days", "0"}},
              &(struct words){{"DENOISED_WORKERS=3"}}, &config, &action, &err));
    ck_assert(den_config_given(&config, "retention_days"));
    ck_assert(den_config_given(&config, "workers"));
    ck_assert(!den_config_given(&config, "tile"));
    ck_assert(!den_config_given(&config, "nothing"));
}
END_TEST

static const struct {
    const char *name, *file;
    struct words arguments, environment;
    int queue_limit;
    enum den_config_origin origin;
} sources[] = {
    {"nothing said", "", {{NULL}}, {{NULL}}, 1000, DEN_ORIGIN_DEFAULT},
    {"the file",
     "queue_limit = 2\n",
     {{"--config", "FILE"}},
     {{NULL}},
     2,
     DEN_ORIGIN_FILE},
    {"a file with comments and spaces",
     "# all\n\n  queue_limit=3  \r\n#queue_limit = 4\ntile = 64",
     {{"--config", "FILE"}},
     {{NULL}},
     3,
     DEN_ORIGIN_FILE},
    {"the environment",
     "",
     {{NULL}},
     {{"DENOISED_QUEUE_LIMIT=5"}},
     5,
     DEN_ORIGIN_ENVIRONMENT},
    {"the environment before the file",
     "queue_limit = 2\n",
     {{"--config", "FILE"}},
     {{"DENOISED_QUEUE_LIMIT=5"}},
     5,
     DEN_ORIGIN_ENVIRONMENT},
    {"a flag", "", {{"--queue_limit=6"}}, {{NULL}}, 6, DEN_ORIGIN_FLAG},
    {"a flag in two words", "", {{"--queue_limit", "7"}}, {{NULL}}, 7, DEN_ORIGIN_FLAG},
    {"a flag with a dash", "", {{"--queue-limit", "7"}}, {{NULL}}, 7, DEN_ORIGIN_FLAG},
    {"a flag before all",
     "queue_limit = 2\n",
     {{"--queue_limit", "8", "--config", "FILE"}},
     {{"DENOISED_QUEUE_LIMIT=5"}},
     8,
     DEN_ORIGIN_FLAG},
    {"the last flag",
     "",
     {{"--queue_limit=8", "--queue_limit=9"}},
     {{NULL}},
     9,
     DEN_ORIGIN_FLAG},
    {"foreign variables",
     "",
     {{NULL}},
     {{"PATH=/bin", "DENOISED_SERVICE_HOST=10.0.0.1", "DENOISED_PORT=tcp://10.0.0.1:80",
       "DENOISED_TEST_DATA=x", "DENOISED"}},
     1000,
     DEN_ORIGIN_DEFAULT},
};

START_TEST(the_nearest_source_wins)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    make_file(sources[_i].file);
    ck_assert_msg(
        load(&sources[_i].arguments, &sources[_i].environment, &config, &action, &err),
        "%s: %s", sources[_i].name, err.text);
    ck_assert_msg(config.queue_limit == sources[_i].queue_limit, "%s: %lld",
                  sources[_i].name, (long long)config.queue_limit);
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++)
        if (strcmp(row->key, "queue_limit") == 0)
            ck_assert_int_eq(config.origins[row - den_config_rows], sources[_i].origin);
}
END_TEST

static const struct {
    const char *name, *file;
    struct words arguments, environment;
    const char *words;
} refused[] = {
    {"an unknown flag near a key",
     "",
     {{"--lisen", "x"}},
     {{NULL}},
     "did you mean 'listen'"},
    {"an unknown flag that is part of keys",
     "",
     {{"--upload=1"}},
     {{NULL}},
     "'max_upload_mib'"},
    {"an unknown flag near nothing", "", {{"--zzzzzzzzz=1"}}, {{NULL}}, "--help"},
    {"a mistyped variable", "", {{NULL}}, {{"DENOISED_QUEUE_LIMITS=1"}}, "'queue_limit'"},
    {"an unknown key in the file",
     "tile = 64\nstat = x\n",
     {{"--config", "FILE"}},
     {{NULL}},
     "line 2 of the configuration file: there is no setting \"stat\", did you mean "
     "'state'"},
    {"no equals sign", "tile 64\n", {{"--config", "FILE"}}, {{NULL}}, "line 1"},
    {"a file that is not there",
     "",
     {{"--config", "/nowhere/x"}},
     {{NULL}},
     "configuration file"},
    {"a flag without its value", "", {{"--tile"}}, {{NULL}}, "--tile needs a value"},
    {"--config without its value", "", {{"--config"}}, {{NULL}}, "needs a value"},
    {"a word that is no flag", "", {{"serve"}}, {{NULL}}, "\"serve\" is not a flag"},
    {"config alone", "", {{"config"}}, {{NULL}}, "show"},
    {"text for a number",
     "",
     {{"--tile=big"}},
     {{NULL}},
     "tile: \"big\" is not a whole number"},
    {"a number too large", "", {{"--tile=8193"}}, {{NULL}}, "0 to 8192"},
    {"a number too small", "", {{"--max_attempts=0"}}, {{NULL}}, "1 to 100"},
    {"not a number", "", {{"--checkpoint_seconds=nan"}}, {{NULL}}, "checkpoint_seconds"},
    {"a word not among the choices",
     "",
     {{"--log_level=loud"}},
     {{NULL}},
     "debug info warn error"},
    {"part of a choice", "", {{"--log_level=inf"}}, {{NULL}}, "not one of"},
    {"an empty text", "", {{"--state="}}, {{NULL}}, "empty"},
    {"a control character", "", {{"--state=a\nb"}}, {{NULL}}, "printable"},
    {"every address", "", {{"--listen=0.0.0.0:80"}}, {{NULL}}, "set auth = required"},
    {"every address of IPv6", "", {{"--listen=[::]:80"}}, {{NULL}}, "auth = required"},
    {"tokens that all can read",
     "",
     {{"--listen=0.0.0.0:80", "--auth=required"}},
     {{NULL}},
     "without TLS"},
    {"TLS without tokens",
     "",
     {{"--listen=0.0.0.0:80", "--tls_cert=c", "--tls_key=k"}},
     {{NULL}},
     "set auth = required"},
    {"plain HTTP without tokens",
     "",
     {{"--listen=0.0.0.0:80", "--plain_http=allowed"}},
     {{NULL}},
     "set auth = required"},
    {"an address of the network",
     "",
     {{"--listen", "192.168.1.1:80"}},
     {{NULL}},
     "192.168.1.1 can be reached"},
    {"a disguised address",
     "",
     {{"--listen=::ffff:10.0.0.1:80"}},
     {{NULL}},
     "can be reached"},
    {"a name", "", {{"--listen=example.org:80"}}, {{NULL}}, "not an IP address"},
    {"no port", "", {{"--listen=127.0.0.1"}}, {{NULL}}, "ADDRESS:PORT"},
    {"a port too large", "", {{"--listen=127.0.0.1:65536"}}, {{NULL}}, "65535"},
    {"an empty port", "", {{"--listen=127.0.0.1:"}}, {{NULL}}, "port"},
    {"no address", "", {{"--listen=:80"}}, {{NULL}}, "ADDRESS:PORT"},
    {"a proxy with a typing error",
     "",
     {{"--proxies=127.0.0.1 10.0.0.999"}},
     {{NULL}},
     "proxies: '10.0.0.999' is not an IP address"},
    {"proxies with a comma",
     "proxies = 10.0.0.1,10.0.0.2\n",
     {{"--config", "FILE"}},
     {{NULL}},
     "proxies: '10.0.0.1,10.0.0.2' is not"},
    {"a proxy that no peer reads like",
     "",
     {{"--proxies=0:0:0:0:0:0:0:1"}},
     {{NULL}},
     "write '0:0:0:0:0:0:0:1' as ::1"},
    {"a host with a port",
     "",
     {{"--hosts=a.example.org b.example.org:443"}},
     {{NULL}},
     "hosts: 'b.example.org:443' is not the name of a host"},
    {"a URL as host", "", {{"--hosts=https://a.org"}}, {{NULL}}, "'https://a.org'"},
};

START_TEST(what_is_wrong_is_said)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config = {.tile = 77};
    enum den_config_action action;
    make_file(refused[_i].file);
    bool done =
        load(&refused[_i].arguments, &refused[_i].environment, &config, &action, &err);
    ck_assert_msg(!done, "%s", refused[_i].name);
    ck_assert_msg(strstr(err.text, refused[_i].words) != NULL, "%s: %s", refused[_i].name,
                  err.text);
    ck_assert_int_eq(config.tile, 77); /* untouched */
}
END_TEST

START_TEST(lists_have_names_and_addresses_with_spaces_between)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    const struct words none = {{NULL}};
    const struct words arguments = {
        {"--hosts= a.example.org  [fd00::1] 10.0.0.1 ", "--proxies=127.0.0.1  ::1 "}};
    make_file("");
    must(load(&arguments, &none, &config, &action, &err));
    ck_assert_str_eq(config.proxies, "127.0.0.1  ::1 ");
}
END_TEST

static const struct {
    const char *name;
    struct words arguments;
} public[] = {
    {"tokens and TLS",
     {{"--listen=0.0.0.0:80", "--auth=required", "--tls_cert=c", "--tls_key=k"}}},
    {"tokens, and plain HTTP allowed",
     {{"--listen=[::]:80", "--auth=required", "--plain_http=allowed"}}},
};

START_TEST(who_asks_everybody_for_a_token_may_be_public)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    ck_assert_msg(load(&public[_i].arguments, NULL, &config, &action, &err), "%s: %s",
                  public[_i].name, err.text);
    ck_assert_uint_eq(config.port, 80);
}
END_TEST

static const struct {
    const char *listen, *address;
    unsigned port;
} places[] = {
    {"127.0.0.1:0", "127.0.0.1", 0}, {"localhost:81", "127.0.0.1", 81},
    {"[::1]:65535", "::1", 65535},   {"127.9.9.9:8080", "127.9.9.9", 8080},
    {"::1:80", "::1", 80},
};

START_TEST(loopback_addresses_are_taken_apart)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    struct words arguments = {{"--listen", places[_i].listen}};
    must(load(&arguments, NULL, &config, &action, &err));
    ck_assert_str_eq(config.address, places[_i].address);
    ck_assert_uint_eq(config.port, places[_i].port);
}
END_TEST

START_TEST(show_can_be_read_back)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config, again;
    enum den_config_action action;
    struct den_buf out;
    struct words arguments = {{"config", "show", "--tile=96", "--hosts=a.org b.org",
                               "--checkpoint-seconds", "0.01"}};
    must_fail(load(&arguments, NULL, &config, &action, &err), DEN_E_INVALID,
              "checkpoint_seconds");
    arguments.word[5] = "1.1";
    must(load(&arguments, &(struct words){{"DENOISED_STORE=sqlite"}}, &config, &action,
              &err));
    ck_assert_int_eq(action, DEN_ACTION_SHOW);
    den_buf_init(&out, 1 << 16);
    den_config_show(&config, &out);
    must(den_buf_ok(&out, &err));
    ck_assert_ptr_nonnull(strstr(out.data, "(flag)\ntile = 96\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "(flag)\nhosts = a.org b.org\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "(environment)\nstore = sqlite\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "(default)\nqueue_limit = 1000\n"));
    make_file(out.data);
    must(load(&(struct words){{"--config", "FILE"}}, NULL, &again, &action, &err));
    memcpy(again.origins, config.origins, sizeof again.origins);
    ck_assert_mem_eq(&again, &config, sizeof config);
    den_buf_release(&out);
}
END_TEST

START_TEST(check_names_every_fault)
{
    static char program[] = "denoised", word[] = "config", what[] = "check",
                flag[] = "--config", bad[] = "--threads=many",
                variable[] = "DENOISED_TILE=x";
    static const char *const words[] = {
        "line 2 of the configuration file: queue_limit: ",
        "line 3 of the configuration file is not 'key = value'",
        "line 5 of the configuration file: there is no setting \"tiel\", did you mean",
        ("line 6 of the configuration file: log_format: \"xml\" is not one of: "
         "logfmt json"),
        "tile: ",
        "threads: ",
        "listen: 'nowhere' is not ADDRESS:PORT",
    };
    char *argv[] = {program, word, what, flag, file, bad, NULL},
         *environment[] = {variable, NULL};
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    struct den_buf out;
    make_file("listen = nowhere\nqueue_limit = 0\nfine\nmax_attempts = 5\ntiel = 64\n"
              "log_format = xml\n");
    must(den_config_load(argv, environment, &config, &action, &err)); /* reads nothing */
    ck_assert_int_eq(action, DEN_ACTION_CHECK);
    den_buf_init(&out, 1 << 16);
    size_t count = den_config_check(argv, environment, &config, &out);
    must(den_buf_ok(&out, &err));
    const char *at = out.data;
    for (size_t i = 0; i < COUNT(words); i++) { /* in this order, a line each */
        const char *found = strstr(at, words[i]);
        ck_assert_msg(found == at, "%s: %s", words[i], at);
        at = strchr(at, '\n') + 1;
    }
    ck_assert_str_eq(at, "");
    ck_assert_uint_eq(count, COUNT(words));
    ck_assert_int_eq(config.max_attempts, 5); /* what is right was taken */
    den_buf_clear(&out);
    make_file("tile = 64\n");
    argv[5] = environment[0] = NULL;
    ck_assert_uint_eq(den_config_check(argv, environment, &config, &out), 0);
    ck_assert_uint_eq(out.length, 0);
    den_buf_release(&out);
}
END_TEST

START_TEST(changed_settings_are_named)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config a, b;
    enum den_config_action action;
    char names[256], tiny[8];
    must(load(&(struct words){{NULL}}, NULL, &a, &action, &err));
    b = a;
    den_config_changes(&a, &b, names, sizeof names);
    ck_assert_str_eq(names, "");
    must(load(&(struct words){{"--tile=64", "--hosts=a", "--checkpoint_seconds=61"}},
              NULL, &b, &action, &err));
    den_config_changes(&a, &b, names, sizeof names);
    ck_assert_str_eq(names, "hosts,checkpoint_seconds,tile");
    den_config_changes(&a, &b, tiny, sizeof tiny);
    ck_assert_str_eq(tiny, "hosts,c");
}
END_TEST

START_TEST(the_example_file_is_the_table)
{
    static const char path[] = "deploy/denoised.conf.example";
    struct den_err err = DEN_ERR_INIT;
    struct den_buf out;
    char *kept = NULL;
    size_t length = 0;
    den_buf_init(&out, 1 << 16);
    den_config_example(&out);
    must(den_buf_ok(&out, &err));
    must(den_fs_read(path, 1 << 16, &kept, &length, &err));
    ck_assert_msg(strcmp(kept, out.data) == 0,
                  "%s is old: build/denoised config example >%s", path, path);
    /* With every # in front of a key taken away it says what holds anyway. */
    struct den_buf set;
    struct den_config config, defaults;
    enum den_config_action action;
    den_buf_init(&set, 1 << 16);
    for (char *rest = kept, *line; (line = strsep(&rest, "\n")) != NULL;)
        den_buf_printf(&set, "%s\n", line + (line[0] == '#' && line[1] != ' '));
    make_file(set.data);
    must(load(&(struct words){{"--config", "FILE"}}, NULL, &config, &action, &err));
    must(load(&(struct words){{NULL}}, NULL, &defaults, &action, &err));
    for (size_t i = 0; den_config_rows[i].key != NULL; i++)
        ck_assert_int_eq(config.origins[i], DEN_ORIGIN_FILE);
    memcpy(config.origins, defaults.origins, sizeof config.origins);
    ck_assert_mem_eq(&config, &defaults, sizeof config);
    den_free(kept);
    den_buf_release(&set);
    den_buf_release(&out);
}
END_TEST

START_TEST(help_and_version_need_nothing_else_to_be_right)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_config config;
    enum den_config_action action;
    struct words bad = {{"DENOISED_TILE=x"}};
    must(load(&(struct words){{"--help"}}, &bad, &config, &action, &err));
    ck_assert_int_eq(action, DEN_ACTION_HELP);
    must(load(&(struct words){{"--version"}}, &bad, &config, &action, &err));
    ck_assert_int_eq(action, DEN_ACTION_VERSION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, NULL, remove_file);
    tcase_add_test(tc, every_default_is_allowed_and_told);
    tcase_add_test(tc, a_value_that_was_given_is_known_from_a_default);
    tcase_add_loop_test(tc, the_nearest_source_wins, 0, COUNT(sources));
    tcase_add_loop_test(tc, who_asks_everybody_for_a_token_may_be_public, 0,
                        COUNT(public));
    tcase_add_test(tc, lists_have_names_and_addresses_with_spaces_between);
    tcase_add_loop_test(tc, what_is_wrong_is_said, 0, COUNT(refused));
    tcase_add_loop_test(tc, loopback_addresses_are_taken_apart, 0, COUNT(places));
    tcase_add_test(tc, show_can_be_read_back);
    tcase_add_test(tc, check_names_every_fault);
    tcase_add_test(tc, changed_settings_are_named);
    tcase_add_test(tc, the_example_file_is_the_table);
    tcase_add_test(tc, help_and_version_need_nothing_else_to_be_right);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
