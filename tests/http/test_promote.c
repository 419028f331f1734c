/* The gate of `denoise promote`, with reports whose outcome is known: a server that has
 * nothing but answers. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "den_check.h"
#include "folder.h"
#include "front.h"
#include "fs.h"
#include "mem.h"
#include "program.h"

#define IMAGES 16

/* ---- the server ----------------------------------------------------------------------
 */

static struct {
    int fd;
    char url[64];
    pthread_t thread;
    double candidate[IMAGES], champion[IMAGES]; /* values of psnr and nrmse */
    bool no_champion, seen,
        taken;        /* trained on the golden set; alias changed meanwhile */
    char put[512];    /* what was promoted */
    char keys[4][80]; /* Idempotency-Key of each evaluation */
    size_t posts;
} stub;

static char folder[64];

static json_t *report_of(const char *name, const double *values)
{
    json_t *images = json_array();
    for (int i = 0; i < IMAGES; i++) {
        json_t *value = values[i] > 1e300 ? json_null() : json_real(values[i]);
        json_t *scores = json_pack("{s{sO sO}}", name, "psnr", value, "nrmse", value);
        char image[16];
        (void)snprintf(image, sizeof image, "img_%d", i);
        (void)json_array_append_new(images,
                                    json_pack("{ss ss si so}", "image", image, "name",
                                              image, "page", i, "scores", scores));
        json_decref(value);
    }
    return json_pack("{ss ss so s{s{s{sf}}}}", "job", "job_1", "kind", "evaluate",
                     "images", images, "mean", name, "psnr", "mean", values[0]);
}

static json_t *model_of(int version)
{
    return json_pack("{ss si ss ss}", "name", "m", "version", version, "sha256",
                     version == 2 ? "aa" : "bb", "dataset", "set_trained");
}

static json_t *ended(const char *id)
{
    return json_pack("{ss ss ss ss}", "id", id, "state", "succeeded", "created_at", "9",
                     "finished_at", "x");
}

static json_t *problem(const char *code)
{
    return json_pack("{ss ss}", "detail", "no", "code", code);
}

static bool asks(const char *request, const char *what)
{
    return strncmp(request, what, strlen(what)) == 0;
}

static json_t *post_job(const char *request)
{
    const char *key = strstr(request, "\r\nIdempotency-Key: ");
    if (key != NULL && stub.posts < 4)
        (void)snprintf(stub.keys[stub.posts++], sizeof stub.keys[0], "%.64s", key + 19);
    bool champion = strstr(request, "\"m@1\"") != NULL;
    return json_pack("{ss ss ss}", "id", champion ? "job_champion" : "job_candidate",
                     "kind", "evaluate", "created_at", "9");
}

/* *ret_status stays 200 unless it is to be another. */
static json_t *answer_to(const char *request, int *ret_status)
{
    if (asks(request, "GET /v1/models/m/versions/1 "))
        return model_of(1);
    if (asks(request, "GET /v1/models/m/versions/2 "))
        return model_of(2);
    if (asks(request, "GET /v1/models/m "))
        return json_pack("{s[oo]}", "models", model_of(2), model_of(1));
    if (asks(request, "GET /v1/models/m?limit=500 "))
        return json_pack("{s[oo] ss}", "models", model_of(2), model_of(1), "next_cursor",
                         "1");
    if (asks(request, "GET /v1/models/m/aliases/champion ") && !stub.no_champion)
        return json_pack("{si}", "version", 1);
    if (asks(request, "GET /v1/models/m/aliases/best "))
        return json_pack("{si}", "version", 2);
    if (asks(request, "GET /v1/datasets/set_golden "))
        return json_pack("{s[s] s[{ss}]}", "images", "img_7", "pairs", "noisy", "img_8");
    if (asks(request, "GET /v1/datasets/set_trained "))
        return json_pack("{s[] s[{ss}]}", "images", "pairs", "noisy",
                         stub.seen ? "img_8" : "img_9");
    if (asks(request, "POST /v1/jobs "))
        return post_job(request);
    if (asks(request, "GET /v1/jobs/job_candidate "))
        return ended("job_candidate");
    if (asks(request, "GET /v1/jobs/job_champion "))
        return ended("job_champion");
    if (asks(request, "GET /v1/jobs/job_candidate/report "))
        return report_of("m@2", stub.candidate);
    if (asks(request, "GET /v1/jobs/job_champion/report "))
        return report_of("m@1", stub.champion);
    if (asks(request, "PUT /v1/models/m/aliases/") && !stub.taken) {
        (void)snprintf(stub.put, sizeof stub.put, "%s", strstr(request, "\r\n\r\n") + 4);
        return json_pack("{si}", "version", 2);
    }
    *ret_status = asks(request, "PUT ") ? 409 : 404;
    return problem(*ret_status == 409 ? "conflict" : "not_found");
}

/* Head and, of a request that has one, body. */
static bool read_request(int fd, char *to, size_t size)
{
    size_t length = 0;
    to[0] = '\0';
    while (length < size - 1) {
        const char *body = strstr(to, "\r\n\r\n");
        bool has_body = asks(to, "PUT") || asks(to, "POST");
        if (body != NULL && (!has_body || strchr(body, '}') != NULL))
            return true;
        ssize_t n = recv(fd, to + length, size - 1 - length, 0);
        if (n <= 0)
            return false;
        length += (size_t)n;
        to[length] = '\0';
    }
    return false;
}

static void *serve(void *unused)
{
    (void)unused;
    for (;;) {
        char request[8192], head[160];
        int fd = accept4(stub.fd, NULL, NULL, SOCK_CLOEXEC), status = 200;
        if (fd < 0)
            return NULL;
        if (read_request(fd, request, sizeof request)) {
            json_t *answer = answer_to(request, &status);
            char *text = json_dumps(answer, JSON_COMPACT);
            int n = snprintf(head, sizeof head,
                             "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Type: "
                             "application/json\r\nContent-Length: %zu\r\n\r\n",
                             status, strlen(text));
            (void)send(fd, head, (size_t)n, MSG_NOSIGNAL);
            (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
            free(text);
            json_decref(answer);
        }
        (void)close(fd);
    }
}

static void setup(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    folder_make(folder);
    memset(&stub, 0, sizeof stub);
    stub.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(stub.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(stub.fd, 8), 0);
    ck_assert_int_eq(getsockname(stub.fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(stub.url, sizeof stub.url, "http://127.0.0.1:%u",
                   (unsigned)ntohs(at.sin_port));
    ck_assert_int_eq(pthread_create(&stub.thread, NULL, serve, NULL), 0);
}

static void teardown(void)
{
    (void)shutdown(stub.fd, SHUT_RDWR);
    (void)pthread_join(stub.thread, NULL);
    (void)close(stub.fd);
    folder_remove(folder);
}

/* The candidate is `low` and `high` above a champion of 30, in turn. */
static void differ_by(double low, double high)
{
    for (int i = 0; i < IMAGES; i++) {
        stub.champion[i] = 30;
        stub.candidate[i] = 30 + (i % 2 == 0 ? low : high);
    }
}

#define PROMOTE(...) DENOISE(folder, stub.url, "promote", "m", "--json", __VA_ARGS__)

/* ---- verdicts ------------------------------------------------------------------------
 */

static const struct {
    double low, high; /* of the differences */
    bool no_champion;
    const char *rule;
    bool holds;
} verdicts[] = {
    {0.2, 0.2, false, "psnr >= champion + 0.15", true},
    {0.2, 0.2, false, "psnr>=champion+0.25", false},
    {0.2, 0.2, false, "psnr > champion", true},
    {0, 0, false, "psnr > champion", false},
    {0, 0, false, "psnr >= champion", true},
    {-0.1, -0.1, false, "psnr >= champion - 0.2", true},
    {-0.1, -0.1, false, "psnr >= champion", false},
    /* The mean difference is 0.5.  Of 16 images that are 0 or 1 better, the 2.5th
     * percentile of the mean is that of a binomial distribution: 4/16. */
    {0, 1, false, "psnr >= champion + 0.24", true},
    {0, 1, false, "psnr >= champion + 0.26", false},
    {0, 1, false, "nrmse <= champion + 0.76", true},
    {0, 1, false, "nrmse <= champion + 0.74", false},
    {-1, 0, false, "nrmse < champion - 0.24", true},
    {0, 0, false, "psnr >= 30", true},
    {0, 0, false, "  psnr  >  30  ", false},
    {0, 1, false, "psnr >= 30.4", true},
    {0, 0, false, "nrmse < 31", true},
    {0, 0, true, "psnr >= champion + 5", true},
    {0, 0, true, "psnr >= 31", false},
    {0, 1e301, false, "psnr >= champion", true}, /* infinite values are left out */
    {1e301, 1e301, false, "psnr >= 0", false},   /* nothing is known */
};

START_TEST(a_rule_holds_when_the_unkind_end_of_the_interval_does)
{
    differ_by(verdicts[_i].low, verdicts[_i].high);
    stub.no_champion = verdicts[_i].no_champion;
    struct outcome o =
        PROMOTE("--golden", "set_golden", "--if", verdicts[_i].rule, "--seed=5");
    must_end(&o, verdicts[_i].holds ? 0 : 3,
             verdicts[_i].holds ? "" : "m@2 is not promoted: 1 of 1 rules do not hold");
    json_t *all = json_loads(o.out, 0, NULL);
    ck_assert_str_eq(text_at(all, "state"), verdicts[_i].holds ? "promoted" : "refused");
    ck_assert(json_is_true(at(all, "rules.0.holds")) == verdicts[_i].holds);
    close_to(number_at(all, "rules.0.images") + number_at(all, "rules.0.left_out"),
             IMAGES, 0);
    char want[80] = "";
    if (verdicts[_i].holds)
        (void)snprintf(want, sizeof want, "{\"version\":2,\"if_version\":%d}",
                       verdicts[_i].no_champion ? 0 : 1);
    ck_assert_str_eq(stub.put, want);
    json_decref(all);
    outcome_free(&o);
}
END_TEST

START_TEST(the_interval_is_that_of_the_seed)
{
    char *texts[3];
    for (int i = 0; i < IMAGES; i++) {
        stub.champion[i] = 30 + i % 5;
        stub.candidate[i] = stub.champion[i] + 0.1 * (i * 7 % 16) - 0.5;
    }
    for (int i = 0; i < 3; i++) {
        struct outcome o = PROMOTE("--golden", "set_golden", "--if", "psnr >= 1", "-n",
                                   i == 2 ? "--seed=8" : "--seed=7");
        must_end(&o, 0, "");
        texts[i] = strdup(o.out);
        outcome_free(&o);
    }
    ck_assert_str_eq(texts[0], texts[1]);
    ck_assert_str_ne(texts[0], texts[2]);
    /* 0.25 +- 1.96 * 0.461 / sqrt(16), as far as a mean of 16 is normal */
    json_t *all = json_loads(texts[0], 0, NULL);
    ck_assert_str_eq(text_at(all, "state"), "good");
    close_to(number_at(all, "rules.0.difference"), 0.25, 1e-9);
    close_to(number_at(all, "rules.0.low"), 0.25 - 0.226, 0.02);
    close_to(number_at(all, "rules.0.high"), 0.25 + 0.226, 0.02);
    json_decref(all);
    ck_assert_str_eq(stub.put, ""); /* -n changes nothing */
    for (int i = 0; i < 3; i++)
        free(texts[i]);
}
END_TEST

START_TEST(an_evaluation_is_asked_for_under_the_same_key)
{
    differ_by(0, 0);
    for (int i = 0; i < 2; i++) {
        struct outcome o = PROMOTE("--golden", "set_golden", "--if", "psnr >= 1", "-n");
        must_end(&o, 0, "");
        outcome_free(&o);
    }
    ck_assert_uint_eq(strlen(stub.keys[0]), 64);
    ck_assert_str_eq(stub.keys[0], stub.keys[2]);
    ck_assert_str_eq(stub.keys[1], stub.keys[3]);
    ck_assert_str_ne(stub.keys[0], stub.keys[1]); /* candidate and champion */
}
END_TEST

/* ---- reports -------------------------------------------------------------------------
 */

static char *read_in_folder(const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160], *text = NULL;
    size_t length = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    must(den_fs_read(path, 1 << 20, &text, &length, &err));
    return text;
}

static void must_hold(const char *text, const char *words)
{
    ck_assert_msg(strstr(text, words) != NULL, "no '%s' in:\n%s", words, text);
}

START_TEST(a_list_of_versions_says_that_there_are_more)
{
    struct outcome o = DENOISE(folder, stub.url, "models", "m");
    must_end(&o, 0, "these are the first 500; there are more");
    must_hold(o.out, "m            2");
    outcome_free(&o);
}
END_TEST

START_TEST(junit_says_that_there_is_no_champion_yet)
{
    differ_by(0, 1);
    stub.no_champion = true;
    struct outcome o =
        DENOISE(folder, stub.url, "promote", "m@2", "--golden", "set_golden", "--if",
                "psnr >= champion + 0.3", "--junit", "gate.xml");
    must_end(&o, 0, "");
    outcome_free(&o);
    char *xml = read_in_folder("gate.xml");
    must_hold(xml, "<system-out>candidate 30.5, no champion yet, over 16 images<");
    den_free(xml);
}
END_TEST

START_TEST(the_verdict_is_told_as_text_markdown_and_junit)
{
    differ_by(0, 1);
    struct outcome o =
        DENOISE(folder, stub.url, "promote", "m@2", "--golden", "set_golden", "--if",
                "psnr >= champion + 0.3", "--if", "nrmse < 1e3", "--junit", "gate.xml",
                "--markdown", "gate.md");
    must_end(&o, 3, "m@2 is not promoted: 1 of 2 rules do not hold");
    must_hold(o.out,
              "psnr >= champion + 0.3     30.500    30.000        +0.500 [+0.250, ");
    must_hold(o.out, "does NOT hold\n");
    must_hold(o.out, "m@2 is not promoted; nothing was changed.\n");
    outcome_free(&o);
    char *markdown = read_in_folder("gate.md"), *xml = read_in_folder("gate.xml");
    must_hold(markdown, "## m@2: refused\n");
    must_hold(markdown, "| psnr >= champion + 0.3 | 30.500 | 30.000 | +0.500 [+0.250, ");
    must_hold(markdown, "| img_1 | 1 | 31.000 | 30.000 | 1.000 |\n");
    must_hold(xml, "tests=\"2\" failures=\"1\"");
    must_hold(xml, "name=\"psnr &gt;= champion + 0.3\"");
    must_hold(xml, "<failure message=\"candidate 30.5, champion 30, difference 0.5 [");
    den_free(markdown);
    den_free(xml);
    if (!program_exists("xmllint")) {
        printf("skipped: %s with xmllint (it is not there)\n", __func__);
        return;
    }
    o = run_program(folder, NULL,
                    (const char *const[]){"xmllint", "--noout", "gate.xml", NULL});
    must_end(&o, 0, "");
    outcome_free(&o);
}
END_TEST

/* ---- what is wrong -------------------------------------------------------------------
 */

static const struct {
    const char *args[6];
    int status;
    const char *words;
} wrong[] = {
    {{"m", "--if", "psnr >= 1"}, 2, "--if and --golden go together"},
    {{"m", "--golden", "set_golden"}, 2, "--if and --golden go together"},
    {{"m", "--golden", "g", "--if", "beauty >= 1"}, 2, "does not begin with a metric"},
    {{"m", "--golden", "g", "--if", ""}, 2, "does not begin with a metric"},
    {{"m", "--golden", "g", "--if", "psnr"}, 2, "is not of the form 'psnr >= 30'"},
    {{"m", "--golden", "g", "--if", "psnr = 30"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= "}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= nan"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= 30 dB"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= champion 1"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= champion * 2"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr >= champions"}, 2, "is not of the form"},
    {{"m", "--golden", "g", "--if", "psnr <= 30"}, 2, "psnr is better when it is higher"},
    {{"m", "--golden", "g", "--if", "nrmse > 1"}, 2, "nrmse is better when it is lower"},
    {{"m@x"}, 2, "'m@x' is neither NAME nor NAME@VERSION"},
    {{"m@7"}, 5, "not_found"},
    {{"nix"}, 5, "not_found"},
    {{"m", "--alias", "a/b"}, 2, "is no name of an alias"},
    {{"m", "--golden", "set_nix", "--if", "psnr >= 1"}, 5, "not_found"},
};

START_TEST(what_is_wrong_is_told_and_nothing_changes)
{
    const char *args[12] = {"promote"};
    for (size_t i = 0; wrong[_i].args[i] != NULL; i++)
        args[1 + i] = wrong[_i].args[i];
    struct outcome o = run_denoise(folder, stub.url, args);
    must_end(&o, wrong[_i].status, wrong[_i].words);
    ck_assert_str_eq(stub.put, "");
    outcome_free(&o);
}
END_TEST

START_TEST(a_model_is_not_judged_on_what_it_was_trained_on)
{
    stub.seen = true;
    struct outcome o = PROMOTE("--golden", "set_golden", "--if", "psnr >= 1");
    must_end(&o, 2, "m@2 was trained on 1 of the images of set_golden");
    ck_assert_str_eq(stub.put, "");
    outcome_free(&o);
}
END_TEST

START_TEST(who_was_promoted_meanwhile_stays)
{
    differ_by(1, 1);
    stub.taken = true;
    struct outcome o = PROMOTE("--golden", "set_golden", "--if", "psnr >= champion");
    must_end(&o, 5, "conflict");
    outcome_free(&o);
}
END_TEST

START_TEST(without_rules_it_is_promoted_and_once_is_enough)
{
    struct outcome o = DENOISE(folder, stub.url, "promote", "m");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "m@champion is m@2\n");
    ck_assert_str_eq(stub.put, "{\"version\":2,\"if_version\":1}");
    outcome_free(&o);
    stub.put[0] = '\0';
    o = DENOISE(folder, stub.url, "promote", "m", "--alias", "best", "--golden",
                "set_golden", "--if", "psnr >= 99");
    must_end(&o, 0, "m@2 is m@best already");
    ck_assert_str_eq(stub.put, "");
    outcome_free(&o);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("promote");
    TCase *all = tcase_create("gate");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_rule_holds_when_the_unkind_end_of_the_interval_does, 0,
                        COUNT(verdicts));
    tcase_add_test(all, the_interval_is_that_of_the_seed);
    tcase_add_test(all, an_evaluation_is_asked_for_under_the_same_key);
    tcase_add_test(all, a_list_of_versions_says_that_there_are_more);
    tcase_add_test(all, junit_says_that_there_is_no_champion_yet);
    tcase_add_test(all, the_verdict_is_told_as_text_markdown_and_junit);
    tcase_add_loop_test(all, what_is_wrong_is_told_and_nothing_changes, 0, COUNT(wrong));
    tcase_add_test(all, a_model_is_not_judged_on_what_it_was_trained_on);
    tcase_add_test(all, who_was_promoted_meanwhile_stays);
    tcase_add_test(all, without_rules_it_is_promoted_and_once_is_enough);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
