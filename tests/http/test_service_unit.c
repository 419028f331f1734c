/* The sandbox of deploy/denoised.service lets the daemon and its jail work: the filter of
 * system calls that systemd would make of the unit is put on the test, and on the daemon
 * that it starts.  What the sets of calls hold is asked of systemd-analyze. */

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "program.h"
#include "story.h"

enum { CALLS = 1024, SETS = 64, TEXT = 64 };

static char *unit, *sets;        /* the unit's text, and that of systemd-analyze */
static bool allowed[CALLS];      /* by number */
static char pending[SETS][TEXT]; /* sets that are still to be looked into */
static int pendings;

/* ---- what the unit says ---------------------------------------------------------------
 */

static void take(const char *word, bool allow)
{
    if (word[0] == '@') {
        ck_assert_int_lt(pendings, SETS);
        (void)snprintf(pending[pendings++], TEXT, "%s", word);
        return;
    }
    int number = seccomp_syscall_resolve_name(word);
    if (number >= 0) /* below: of another machine */
        allowed[number % CALLS] = allow;
}

/* "@name", a comment, and one call or set per line, indented; then an empty line. */
static void take_set(const char *name, bool allow)
{
    char lead[TEXT + 8], word[TEXT];
    int used = 0;
    (void)snprintf(lead, sizeof lead, "\n%s\n", name);
    const char *at = strstr(sets, lead);
    ck_assert_msg(at != NULL, "systemd-analyze knows no set %s", name);
    for (at += strlen(lead); strncmp(at, "    ", 4) == 0; at = strchr(at, '\n') + 1) {
        size_t length = strcspn(at + 4, "\n");
        if (at[4] == '#')
            continue;
        used = snprintf(word, sizeof word, "%.*s", (int)length, at + 4);
        ck_assert_int_lt(used, (int)sizeof word);
        take(word, allow);
    }
}

static void take_words(const char *words, bool allow)
{
    char copy[1024], *rest = copy, *word;
    ck_assert_uint_lt((size_t)snprintf(copy, sizeof copy, "%s", words), sizeof copy);
    while ((word = strsep(&rest, " ")) != NULL)
        if (word[0] != '\0')
            take(word, allow);
    while (pendings > 0) {
        char name[TEXT];
        (void)snprintf(name, sizeof name, "%s", pending[--pendings]);
        take_set(name, allow);
    }
}

/* The next value of the key behind *at, or false. */
static bool next_value(const char **at, const char *key, char *to, size_t size)
{
    char lead[TEXT];
    (void)snprintf(lead, sizeof lead, "\n%s=", key);
    const char *line = strstr(*at, lead);
    if (line == NULL)
        return false;
    line += strlen(lead);
    size_t length = strcspn(line, "\n");
    ck_assert_uint_lt(length, size);
    memcpy(to, line, length);
    to[length] = '\0';
    *at = line;
    return true;
}

static void must_say(const char *line)
{
    ck_assert_msg(strstr(unit, line) != NULL, "the unit has no line '%s'", line);
}

/* As systemd does it: @default is always in, words add, words behind ~ take away, in
 * order. Lines with `without` are passed over. */
static void read_filter(const char *without)
{
    char value[1024];
    memset(allowed, 0, sizeof allowed);
    take_words("@default", true);
    for (const char *at = unit; next_value(&at, "SystemCallFilter", value, sizeof value);)
        if (without == NULL || strstr(value, without) == NULL)
            take_words(value[0] == '~' ? value + 1 : value, value[0] != '~');
}

/* ---- the filter -----------------------------------------------------------------------
 */

static void allow(scmp_filter_ctx rules, int call, unsigned count,
                  const struct scmp_arg_cmp *conditions)
{
    ck_assert_int_eq(
        seccomp_rule_add_array(rules, SCMP_ACT_ALLOW, call, count, conditions), 0);
}

/* RestrictAddressFamilies=. */
static void allow_sockets(scmp_filter_ctx rules)
{
    static const uint64_t families[] = {AF_UNIX, AF_INET, AF_INET6};
    must_say("\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n");
    for (size_t i = 0; i < 3; i++)
        allow(rules, SCMP_SYS(socket), 1, &SCMP_A0(SCMP_CMP_EQ, families[i]));
}

/* MemoryDenyWriteExecute=. */
static void allow_memory(scmp_filter_ctx rules)
{
    must_say("\nMemoryDenyWriteExecute=yes\n");
    allow(rules, SCMP_SYS(mmap), 1, &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    allow(rules, SCMP_SYS(mmap), 1,
          &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC));
    allow(rules, SCMP_SYS(mprotect), 1, &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static size_t put_on_filter(void)
{
    size_t count = 0;
    must_say("\nSystemCallErrorNumber=EPERM\n");
    must_say("\nNoNewPrivileges=yes\n");
    scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    ck_assert_ptr_nonnull(rules);
    for (int call = 0; call < CALLS; call++) {
        if (!allowed[call])
            continue;
        count++;
        if (call != SCMP_SYS(socket) && call != SCMP_SYS(mmap) &&
            call != SCMP_SYS(mprotect))
            allow(rules, call, 0, NULL);
    }
    allow_sockets(rules);
    allow_memory(rules);
    ck_assert_int_eq(seccomp_load(rules), 0); /* with NO_NEW_PRIVS, its default */
    seccomp_release(rules);
    return count;
}

/* Whether it is put on: what the unit forbids is forbidden here. */
static void must_hold(void)
{
    ck_assert_int_eq(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(chroot("/"), -1); /* @mount is no part of @system-service */
    ck_assert_int_eq(errno, EPERM);
    ck_assert(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0) == MAP_FAILED);
    ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, 1), -1); /* @resources */
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

static bool prepare(const char *test)
{
    static const char *const argv[] = {"systemd-analyze", "--no-pager", "syscall-filter",
                                       NULL};
    struct den_err err = DEN_ERR_INIT;
    size_t length = 0;
    if (test_sanitized()) { /* a leak checker wants ptrace, which the unit forbids */
        printf("skipped: %s (sanitizers need more calls)\n", test);
        return false;
    }
    struct outcome said = run_program(NULL, NULL, argv);
    if (said.status != 0) {
        printf("skipped: %s (there is no systemd-analyze)\n", test);
        outcome_free(&said);
        return false;
    }
    must(den_fs_read("deploy/denoised.service", 1 << 16, &unit, &length, &err));
    ck_assert_int_gt(asprintf(&sets, "\n%s", said.out), 0);
    outcome_free(&said);
    return true;
}

static void let_go(void)
{
    den_free(unit);
    free(sets);
}

/* ---- tests ----------------------------------------------------------------------------
 */

START_TEST(training_decoding_and_the_end_need_no_call_that_the_unit_forbids)
{
    struct story s;
    if (!prepare(__func__))
        return;
    read_filter(NULL);
    size_t calls = put_on_filter();
    must_hold();
    story_start(&s, NULL); /* the jail decodes each image that is uploaded */
    story_train_and_denoise(&s);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    printf("unit: %zu system calls allowed\n", calls);
    story_end(&s);
    let_go();
}
END_TEST

START_TEST(without_the_calls_of_the_jail_it_does_not_start)
{
    struct daemon d = {.pid = 0};
    struct den_err err = DEN_ERR_INIT;
    char *log = NULL;
    size_t length = 0;
    if (!prepare(__func__))
        return;
    read_filter("landlock_");
    (void)put_on_filter();
    (void)snprintf(d.state, sizeof d.state, "/tmp/denoised-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(d.state));
    (void)snprintf(d.log, sizeof d.log, "%s/log", d.state);
    ck_assert_int_eq(daemon_try(&d, NULL), 1);
    must(den_fs_read(d.log, 1 << 20, &log, &length, &err));
    ck_assert_msg(strstr(log, "the jail for image decoders cannot") != NULL, "%s", log);
    den_free(log);
    daemon_remove(&d);
    let_go();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("service unit");
    TCase *tc = tcase_create("service unit");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, training_decoding_and_the_end_need_no_call_that_the_unit_forbids);
    tcase_add_test(tc, without_the_calls_of_the_jail_it_does_not_start);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
