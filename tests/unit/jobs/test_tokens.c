/* Access tokens: their text, whom they admit, and what the store keeps of them. */

#include <sys/stat.h>

#include "attempts.h"
#include "clock.h"
#include "command_case.h"
#include "rng.h"
#include "service_accounts.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

/* ---- the text ---- */

START_TEST(a_token_reads_as_the_one_that_was_made)
{
    char text[DEN_TOKEN_TEXT_SIZE], id[DEN_TOKEN_ID_SIZE], hash[DEN_SHA256_SIZE];
    for (int i = 0; i < 1000; i++) {
        struct den_token_row row = {.scopes = 0};
        den_token_new(text, &row);
        ck_assert_uint_eq(strlen(text), DEN_TOKEN_TEXT_SIZE - 1);
        ck_assert(den_token_read(text, id, hash));
        ck_assert_str_eq(id, row.id);
        ck_assert_str_eq(hash, row.hash);
        ck_assert(den_token_id_valid(id));
    }
}
END_TEST

/* The last character holds two bits that are not used. */
START_TEST(a_token_with_one_other_character_is_none)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .";
    char text[DEN_TOKEN_TEXT_SIZE], id[DEN_TOKEN_ID_SIZE], hash[DEN_SHA256_SIZE];
    struct den_token_row row = {.scopes = 0};
    unsigned tried = 0, same_bits = 0;
    den_token_new(text, &row);
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (const char *c = letters; *c != '\0'; c++) {
            char other[DEN_TOKEN_TEXT_SIZE];
            if (text[at] == *c)
                continue;
            memcpy(other, text, sizeof other);
            other[at] = *c;
            tried++;
            if (den_token_read(other, id, hash))
                same_bits++;
            ck_assert_str_ne(hash, row.hash); /* which is what counts */
        }
    ck_assert_uint_le(same_bits, 3);
    printf("%u texts that differ in one character: none has the hash\n", tried);
}
END_TEST

static const char *const no_tokens[] = {
    "",
    "den_",
    "Bearer",
    "den_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "den_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "DEN_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "den_\xff\xff",
};

START_TEST(a_text_that_is_no_token_is_told)
{
    char id[DEN_TOKEN_ID_SIZE] = "untouched", hash[DEN_SHA256_SIZE];
    ck_assert_msg(!den_token_read(no_tokens[_i], id, hash), "%s", no_tokens[_i]);
    ck_assert_str_eq(id, "untouched");
    ck_assert_uint_eq(strlen(hash), 64);
}
END_TEST

static const struct {
    const char *text;
    unsigned scopes;
    const char *written; /* NULL: refused */
} scope_cases[] = {
    {"read", DEN_SCOPE_READ, "read"},
    {"submit,read", DEN_SCOPE_READ | DEN_SCOPE_SUBMIT, "read,submit"},
    {"admin,train,submit,read", DEN_SCOPE_ALL, "read,submit,train,admin"},
    {"", 0, NULL},
    {"read,", 0, NULL},
    {",read", 0, NULL},
    {"read submit", 0, NULL},
    {"write", 0, NULL},
    {"any", 0, NULL},
};

START_TEST(scopes_are_words_with_commas)
{
    struct den_err err = DEN_ERR_INIT;
    char text[DEN_SCOPES_SIZE];
    unsigned scopes = 99;
    bool good = den_scopes_read(scope_cases[_i].text, "scopes", &scopes, &err);
    ck_assert_msg(good == (scope_cases[_i].written != NULL), "%s", scope_cases[_i].text);
    if (good) {
        ck_assert_uint_eq(scopes, scope_cases[_i].scopes);
        den_scopes_write(scopes, text);
        ck_assert_str_eq(text, scope_cases[_i].written);
    } else
        ck_assert_msg(scopes == 99 && err.code == DEN_E_INVALID, "%s", err.text);
}
END_TEST

static const struct {
    const char *text;
    bool owner, name;
} name_cases[] = {
    {"ann", true, true},
    {"a.b_c-9", true, true},
    {"Ann", false, true},
    {"", false, false},
    {"a b", false, false},
    {"a/b", false, false},
    {"a\"b", false, false},
    {"\xc3\xa4", false, false},
    {"system", false, true}, /* the server's own name in the audit table */
    {"0123456789012345678901234567890123456789012345678901234567890123", true, true},
    {"01234567890123456789012345678901234567890123456789012345678901234", false, false},
};

START_TEST(owners_and_names_have_few_characters)
{
    ck_assert(den_owner_check(name_cases[_i].text, "o", NULL) == name_cases[_i].owner);
    ck_assert(den_token_name_check(name_cases[_i].text, "n", NULL) ==
              name_cases[_i].name);
}
END_TEST

/* ---- whom they admit ---- */

enum { DAY = 24 * 3600 * 1000 };
static const struct den_clocks noon = {.wall_ms = 1800000000000, .steady_ms = 1000000};

struct desk {
    struct den_tokens *tokens;
    struct den_token_row rows[4];
    char texts[4][DEN_TOKEN_TEXT_SIZE];
};

/* ann reads and submits, bob is admin until tomorrow, eve expired, tom was revoked. */
static void desk_open(struct desk *d, int64_t per_s)
{
    static const struct den_token_row rows[4] = {
        {.name = "a", .owner = "ann", .scopes = DEN_SCOPE_READ | DEN_SCOPE_SUBMIT},
        {.name = "b",
         .owner = "bob",
         .scopes = DEN_SCOPE_ADMIN,
         .expires_ms = 1800000000000 + DAY},
        {.name = "e",
         .owner = "eve",
         .scopes = DEN_SCOPE_ALL,
         .expires_ms = 1800000000000},
        {.name = "t", .owner = "tom", .scopes = DEN_SCOPE_ALL, .revoked_ms = 1},
    };
    struct den_err err = DEN_ERR_INIT;
    for (size_t i = 0; i < 4; i++) {
        d->rows[i] = rows[i];
        den_token_new(d->texts[i], &d->rows[i]);
    }
    must(den_tokens_new(per_s, &d->tokens, &err));
    must(den_tokens_load(d->tokens, d->rows, 4, &err));
}

static enum den_code check_code(struct desk *d, const char *text, const char *address,
                                unsigned needs, struct den_clocks now, char *owner)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_caller caller = {.owner = "nobody"};
    bool done = den_tokens_check(d->tokens, text, address, needs, now, &caller, &err);
    den_str_copy(owner, DEN_OWNER_SIZE, caller.owner);
    return done ? DEN_OK : err.code;
}

START_TEST(a_token_admits_its_owner_to_its_scopes)
{
    static const struct {
        int row; /* -1: no text */
        unsigned needs;
        enum den_code code;
        const char *owner;
    } cases[] = {
        {0, 0, DEN_OK, "ann"},
        {0, DEN_SCOPE_READ, DEN_OK, "ann"},
        {0, DEN_SCOPE_SUBMIT, DEN_OK, "ann"},
        {0, DEN_SCOPE_TRAIN, DEN_E_FORBIDDEN, "nobody"},
        {0, DEN_SCOPE_ADMIN, DEN_E_FORBIDDEN, "nobody"},
        {0, DEN_SCOPE_READ | DEN_SCOPE_ADMIN, DEN_E_FORBIDDEN, "nobody"},
        {1, DEN_SCOPE_ADMIN, DEN_OK, "bob"},
        {1, DEN_SCOPE_READ, DEN_E_FORBIDDEN, "nobody"},
        {2, DEN_SCOPE_READ, DEN_E_UNAUTHORIZED, "nobody"},
        {2, 0, DEN_E_UNAUTHORIZED, "nobody"},
        {3, DEN_SCOPE_READ, DEN_E_UNAUTHORIZED, "nobody"},
        {-1, 0, DEN_E_UNAUTHORIZED, "nobody"},
    };
    struct desk d;
    char owner[DEN_OWNER_SIZE];
    desk_open(&d, 0);
    for (int i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].row < 0 ? NULL : d.texts[cases[i].row];
        enum den_code code =
            check_code(&d, text, "10.0.0.1", cases[i].needs, noon, owner);
        ck_assert_msg(code == cases[i].code, "case %d: %s", i, den_code_name(code));
        ck_assert_str_eq(owner, cases[i].owner);
    }
    den_tokens_free(d.tokens);
}
END_TEST

START_TEST(a_right_id_with_other_secret_bytes_is_refused)
{
    struct desk d;
    char owner[DEN_OWNER_SIZE];
    desk_open(&d, 0);
    /* a whole token of the same id, as one who has seen a list would make it */
    struct den_token_row other = d.rows[0];
    char text[DEN_TOKEN_TEXT_SIZE];
    den_token_new(text, &other);
    ck_assert_str_ne(other.id, d.rows[0].id);
    memcpy(d.rows[0].hash, other.hash, sizeof other.hash); /* what the store has */
    struct den_err err = DEN_ERR_INIT;
    must(den_tokens_load(d.tokens, d.rows, 4, &err));
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, noon, owner),
                     DEN_E_UNAUTHORIZED);
    ck_assert_int_eq(check_code(&d, text, "10.0.0.1", 0, noon, owner),
                     DEN_E_UNAUTHORIZED);
    den_tokens_free(d.tokens);
}
END_TEST

/* From one address, 10^5 guesses in 1000 seconds: 10 and 200 are looked at. */
START_TEST(a_hundred_thousand_guesses_find_nothing)
{
    enum { GUESSES = 100000, EACH_MS = 10 };
    struct desk d;
    unsigned looked_at = 0, refused = 0;
    char owner[DEN_OWNER_SIZE], guess[DEN_TOKEN_TEXT_SIZE];
    struct den_token_row row;
    desk_open(&d, 0);
    double from = den_monotonic_s();
    for (int i = 0; i < GUESSES; i++) {
        struct den_clocks now = noon;
        now.steady_ms += (int64_t)i * EACH_MS;
        den_token_new(guess, &row); /* well-formed, so that the table is asked */
        enum den_code code = check_code(&d, guess, "203.0.113.7", 0, now, owner);
        ck_assert(code == DEN_E_UNAUTHORIZED || code == DEN_E_BUSY);
        looked_at += code == DEN_E_UNAUTHORIZED;
        refused += code == DEN_E_BUSY;
        if (i % 1000 == 0) /* honest people behind the same address, and elsewhere */
            ck_assert_int_eq(
                check_code(&d, d.texts[0], "203.0.113.7", DEN_SCOPE_READ, now, owner),
                DEN_OK);
    }
    double seconds = den_monotonic_s() - from;
    ck_assert_uint_ge(looked_at, 205);
    ck_assert_uint_le(looked_at, 211);
    ck_assert_uint_eq(looked_at + refused, GUESSES);
    struct den_clocks end = noon;
    end.steady_ms += (int64_t)GUESSES * EACH_MS;
    ck_assert_int_eq(check_code(&d, "den_", "203.0.113.8", 0, end, owner),
                     DEN_E_UNAUTHORIZED);
    printf("%d guesses: %u with 401, %u with 429, 0 admitted (%.1f us each)\n", GUESSES,
           looked_at, refused, 1e6 * seconds / GUESSES);
    den_tokens_free(d.tokens);
}
END_TEST

START_TEST(many_addresses_are_remembered_and_not_too_many)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_attempts *attempts = NULL;
    int wait_s = 0, forgotten = 0;
    must(den_attempts_new(&attempts, &err));
    for (int i = 0; i < 10; i++)
        ck_assert(den_attempts_failed(attempts, "192.0.2.1", 1000, &wait_s));
    ck_assert(!den_attempts_failed(attempts, "192.0.2.1", 1000, &wait_s));
    ck_assert_int_eq(wait_s, 5);
    ck_assert(!den_attempts_failed(attempts, "192.0.2.1", 5999, &wait_s));
    ck_assert(den_attempts_failed(attempts, "192.0.2.1", 6000, &wait_s));
    /* a /64 of IPv6 is one client, and so is an address in both spellings */
    for (int i = 0; i < 10; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "2001:db8::%d", i + 1);
        ck_assert(den_attempts_failed(attempts, address, 6000, &wait_s));
    }
    ck_assert(!den_attempts_failed(attempts, "2001:db8::ffff", 6000, &wait_s));
    ck_assert(den_attempts_failed(attempts, "2001:db8:0:1::1", 6000, &wait_s));
    ck_assert(!den_attempts_failed(attempts, "::ffff:192.0.2.1", 6000, &wait_s));
    /* a flood from everywhere costs no memory, and forgets the oldest */
    for (unsigned i = 0; i < 100000; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255,
                       i & 255);
        ck_assert(den_attempts_failed(attempts, address, 7000 + i, &wait_s));
    }
    for (int i = 0; i < 10; i++)
        forgotten += den_attempts_failed(attempts, "192.0.2.1", 107000, &wait_s);
    ck_assert_int_eq(forgotten, 10);
    den_attempts_free(attempts);
}
END_TEST

START_TEST(a_token_makes_as_many_requests_a_second_as_it_may)
{
    enum { PER_S = 5, ALL = 50, MORE = 55 };
    struct desk d;
    char owner[DEN_OWNER_SIZE];
    int done = 0;
    desk_open(&d, PER_S);
    for (int ms = 0; ms < 10000; ms += 10) { /* 100 a second, for 10 s */
        struct den_clocks now = noon;
        now.steady_ms += ms;
        enum den_code code = check_code(&d, d.texts[0], "10.0.0.1", 0, now, owner);
        ck_assert(code == DEN_OK || code == DEN_E_BUSY);
        done += code == DEN_OK;
    }
    ck_assert_int_ge(done, ALL);
    ck_assert_int_le(done, MORE);
    ck_assert_int_eq(check_code(&d, d.texts[1], "10.0.0.1", 0, noon, owner), DEN_OK);
    den_tokens_free(d.tokens);
}
END_TEST

START_TEST(a_reload_keeps_what_is_known_of_use)
{
    struct den_err err = DEN_ERR_INIT;
    struct desk d;
    struct den_token_row used[4], row;
    char owner[DEN_OWNER_SIZE];
    desk_open(&d, 0);
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, noon, owner), DEN_OK);
    must(den_tokens_load(d.tokens, d.rows, 4, &err));
    ck_assert(den_tokens_get(d.tokens, d.rows[0].id, noon.wall_ms, &row));
    ck_assert_int_eq(row.used_ms, noon.wall_ms);
    ck_assert_uint_eq(den_tokens_used(d.tokens, used, 4), 1);
    ck_assert_str_eq(used[0].id, d.rows[0].id);
    ck_assert_int_eq(used[0].used_ms, noon.wall_ms);
    ck_assert_uint_eq(den_tokens_used(d.tokens, used, 4), 0); /* the store knows now */
    struct den_clocks later = noon;
    later.wall_ms += 3599000;
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, later, owner), DEN_OK);
    ck_assert_uint_eq(den_tokens_used(d.tokens, used, 4), 0); /* at most once an hour */
    later.wall_ms += 1000;
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, later, owner), DEN_OK);
    ck_assert_uint_eq(den_tokens_used(d.tokens, used, 4), 1);
    ck_assert(!den_tokens_get(d.tokens, d.rows[2].id, noon.wall_ms, &row)); /* expired */
    ck_assert(!den_tokens_get(d.tokens, d.rows[3].id, noon.wall_ms, &row)); /* revoked */
    den_tokens_free(d.tokens);
}
END_TEST

START_TEST(a_token_that_is_dropped_holds_no_longer)
{
    struct den_err err = DEN_ERR_INIT;
    struct desk d;
    struct den_token_row row;
    char owner[DEN_OWNER_SIZE];
    desk_open(&d, 0);
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, noon, owner), DEN_OK);
    den_tokens_drop(d.tokens, d.rows[0].id);
    den_tokens_drop(d.tokens, "tok_none");
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, noon, owner),
                     DEN_E_UNAUTHORIZED);
    ck_assert(!den_tokens_get(d.tokens, d.rows[0].id, noon.wall_ms, &row));
    ck_assert_int_eq(check_code(&d, d.texts[1], "10.0.0.1", 0, noon, owner), DEN_OK);
    d.rows[0].revoked_ms = noon.wall_ms; /* as the store has it */
    must(den_tokens_load(d.tokens, d.rows, 4, &err));
    ck_assert_int_eq(check_code(&d, d.texts[0], "10.0.0.1", 0, noon, owner),
                     DEN_E_UNAUTHORIZED);
    den_tokens_free(d.tokens);
}
END_TEST

/* ---- with the store ---- */

START_TEST(the_store_has_the_hash_and_never_the_text)
{
    struct den_err err = DEN_ERR_INIT;
    char text[DEN_TOKEN_TEXT_SIZE], path[96], *data = NULL;
    struct den_token_row row;
    size_t length = 0;
    must(den_service_token_add(service, "one", "ann", DEN_SCOPE_READ, 30, text, &row,
                               &err));
    ck_assert_int_eq(row.expires_ms - row.created_ms, (int64_t)30 * DAY);
    close_all();
    static const char *const files[] = {"denoised.db", "denoised.db-wal"};
    bool hash_seen = false;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (!den_fs_read(path, 1 << 24, &data, &length, NULL))
            continue;
        ck_assert_ptr_null(memmem(data, length, text + 4, 20));
        ck_assert_ptr_null(memmem(data, length, text + 40, 20));
        hash_seen = hash_seen || memmem(data, length, row.hash, 64) != NULL;
        den_free(data);
        data = NULL;
    }
    ck_assert(hash_seen);
    open_with(usual_config());
}
END_TEST

START_TEST(a_name_is_free_again_when_its_token_was_revoked)
{
    struct den_err err = DEN_ERR_INIT;
    char text[DEN_TOKEN_TEXT_SIZE];
    struct den_token_row row, again, list[8];
    size_t count = 0;
    must(den_service_token_add(service, "one", "ann", DEN_SCOPE_READ, 0, text, &row,
                               &err));
    must_fail(den_service_token_add(service, "one", "bob", DEN_SCOPE_READ, 0, text,
                                    &again, &err),
              DEN_E_CONFLICT, "already");
    must_fail(den_service_token_add(service, "two", "Bob", DEN_SCOPE_READ, 0, text,
                                    &again, &err),
              DEN_E_INVALID, "an owner has");
    must(den_service_token_revoke(service, "one", &again, &err));
    ck_assert_str_eq(again.id, row.id);
    must_fail(den_service_token_revoke(service, "one", &again, &err), DEN_E_NOT_FOUND,
              "no token 'one'");
    must_fail(den_service_token_revoke(service, row.id, &again, &err), DEN_E_NOT_FOUND,
              "no token");
    must(den_service_token_add(service, "one", "ann", DEN_SCOPE_READ, 0, text, &again,
                               &err));
    must(kind->token_list(store, "", 8, list, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(list[0].id, again.id);
    must(kind->token_list(store, again.id, 8, list, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(list[0].id, row.id);
    ck_assert_int_ne(list[0].revoked_ms, 0);
}
END_TEST

/* A service that asks for tokens, in the same folder. */
static void require_tokens(void)
{
    struct den_service_config config = usual_config();
    close_all();
    config.auth_required = true;
    open_with(config);
}

START_TEST(changes_hold_at_once_and_after_a_restart)
{
    struct den_err err = DEN_ERR_INIT;
    char text[DEN_TOKEN_TEXT_SIZE];
    struct den_token_row row;
    struct den_caller caller;
    must(den_service_admit(service, NULL, "127.0.0.1", DEN_SCOPE_ADMIN, &caller, &err));
    ck_assert_str_eq(caller.owner, DEN_OWNER_LOCAL);
    require_tokens();
    must_fail(den_service_admit(service, NULL, "127.0.0.1", 0, &caller, &err),
              DEN_E_UNAUTHORIZED, "needs an access token");
    must(den_service_token_add(service, "one", "ann", DEN_SCOPE_READ, 0, text, &row,
                               &err));
    must(den_service_admit(service, text, "127.0.0.1", DEN_SCOPE_READ, &caller, &err));
    must(den_service_tokens_note(service, &err));
    require_tokens();
    must(den_service_admit(service, text, "127.0.0.1", DEN_SCOPE_READ, &caller, &err));
    ck_assert_str_eq(caller.owner, "ann");
    ck_assert_str_eq(caller.token, row.id);
    ck_assert(den_service_token_get(service, row.id, &row));
    ck_assert_int_ne(row.used_ms, 0);
    must(den_service_token_revoke(service, row.id, &row, &err));
    must_fail(
        den_service_admit(service, text, "127.0.0.1", DEN_SCOPE_READ, &caller, &err),
        DEN_E_UNAUTHORIZED, "revoked");
}
END_TEST

START_TEST(the_first_token_is_made_once)
{
    struct den_err err = DEN_ERR_INIT;
    char text[DEN_TOKEN_TEXT_SIZE], again[DEN_TOKEN_TEXT_SIZE];
    struct den_caller caller;
    struct den_token_row row;
    require_tokens();
    must(den_service_first_token(service, text, &err));
    must(den_service_admit(service, text, "127.0.0.1", DEN_SCOPE_ALL, &caller, &err));
    ck_assert_str_eq(caller.owner, "admin");
    must(den_service_first_token(service, again, &err));
    ck_assert_str_eq(again, "");
    must(den_service_token_revoke(service, caller.token, &row, &err));
    must(den_service_first_token(service, again, &err)); /* nor when it was revoked */
    ck_assert_str_eq(again, "");
}
END_TEST

START_TEST(commands_make_list_and_revoke_with_and_without_a_daemon)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    struct den_caller caller;
    char one[400] = "", two[400] = "", text[4000] = "";
    close_all();
    must_command("token create one ann read,submit 0", one, sizeof one);
    config.auth_required = true;
    config.with_workers = true; /* with them comes the thread that answers */
    open_with(config);
    must_command("token create two bob read 7", two, sizeof two);
    one[strcspn(one, "\n")] = two[strcspn(two, "\n")] = '\0';
    must(den_service_admit(service, one, "127.0.0.1", DEN_SCOPE_SUBMIT, &caller, &err));
    must(den_service_admit(service, two, "127.0.0.1", DEN_SCOPE_READ, &caller, &err));
    ck_assert_str_eq(caller.owner, "bob");
    must_command("token list json", text, sizeof text);
    ck_assert_msg(
        strncmp(text, "{\"id\":\"tok_", 11) == 0 &&
            strstr(text, "\"name\":\"two\",\"owner\":\"bob\",\"scopes\":[\"read\"]") !=
                NULL &&
            strstr(text, "\"scopes\":[\"read\",\"submit\"]") != NULL,
        "%s", text);
    ck_assert_ptr_null(strstr(text, "den_"));
    must_command("token revoke two", text, sizeof text);
    ck_assert_msg(strstr(text, "(two of bob)") != NULL, "%s", text);
    must_fail(den_service_admit(service, two, "127.0.0.1", 0, &caller, &err),
              DEN_E_UNAUTHORIZED, "revoked");
    must_command("token list", text, sizeof text);
    ck_assert_msg(strstr(text, "revoked\n") != NULL && strstr(text, "holds\n") != NULL,
                  "%s", text);
    size_t wrong;
    must_fail(
        den_state_command(&config, "token create x ann all 0", stdout, &wrong, &err),
        DEN_E_IO, "'all' is not a scope");
    must_fail(
        den_state_command(&config, "token create x ann read -1", stdout, &wrong, &err),
        DEN_E_IO, "-1");
    must_fail(den_state_command(&config, "token eat", stdout, &wrong, &err), DEN_E_IO,
              "can be created");
}
END_TEST

START_TEST(a_state_that_others_can_read_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/denoised.db", folder);
    ck_assert_int_eq(chmod(path, 0600), 0);
    must(den_service_private(service, &err));
    ck_assert_int_eq(chmod(path, 0640), 0);
    must_fail(den_service_private(service, &err), DEN_E_FORBIDDEN, "database file");
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(chmod(folder, 0711), 0);
    must_fail(den_service_private(service, &err), DEN_E_FORBIDDEN, "state folder");
    ck_assert_int_eq(chmod(folder, 0700), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokens");
    TCase *text = tcase_create("text"), *table = tcase_create("table"),
          *kept = tcase_create("store");
    tcase_add_test(text, a_token_reads_as_the_one_that_was_made);
    tcase_add_test(text, a_token_with_one_other_character_is_none);
    tcase_add_loop_test(text, a_text_that_is_no_token_is_told, 0, COUNT(no_tokens));
    tcase_add_loop_test(text, scopes_are_words_with_commas, 0, COUNT(scope_cases));
    tcase_add_loop_test(text, owners_and_names_have_few_characters, 0, COUNT(name_cases));
    tcase_add_test(table, a_token_admits_its_owner_to_its_scopes);
    tcase_add_test(table, a_right_id_with_other_secret_bytes_is_refused);
    tcase_add_test(table, a_hundred_thousand_guesses_find_nothing);
    tcase_add_test(table, many_addresses_are_remembered_and_not_too_many);
    tcase_add_test(table, a_token_makes_as_many_requests_a_second_as_it_may);
    tcase_add_test(table, a_reload_keeps_what_is_known_of_use);
    tcase_add_test(table, a_token_that_is_dropped_holds_no_longer);
    tcase_set_timeout(table, 60);
    tcase_add_checked_fixture(kept, setup_idle, teardown);
    tcase_set_timeout(kept, 60);
    tcase_add_test(kept, the_store_has_the_hash_and_never_the_text);
    tcase_add_test(kept, a_name_is_free_again_when_its_token_was_revoked);
    tcase_add_test(kept, changes_hold_at_once_and_after_a_restart);
    tcase_add_test(kept, the_first_token_is_made_once);
    tcase_add_test(kept, commands_make_list_and_revoke_with_and_without_a_daemon);
    tcase_add_test(kept, a_state_that_others_can_read_is_told);
    suite_add_tcase(suite, text);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, kept);
    return den_check_main(suite);
}
