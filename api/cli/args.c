#include "args.h"

#include <string.h>

#include "cli.h"
#include "mem.h"
#include "str.h"

static const struct den_option *find_in(const struct den_option *options,
                                        const char *name, size_t length)
{
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++)
        if (strlen(options[i].name) == length &&
            memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static const struct den_option *letter_in(const struct den_option *options, char letter)
{
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

/* The option that `word` names, of the command or of all commands; *ret_value is what
 * stands behind "=" in the same word, or NULL. */
static const struct den_option *find(const struct den_args *args, const char *word,
                                     const char **ret_value)
{
    const struct den_option *mine = args->command != NULL ? args->command->options : NULL;
    const struct den_option *found;
    *ret_value = NULL;
    if (word[1] != '-') {
        if (word[2] != '\0')
            return NULL;
        found = letter_in(mine, word[1]);
        return found != NULL ? found : letter_in(den_global_options, word[1]);
    }
    size_t length = strcspn(word + 2, "=");
    if (word[2 + length] == '=')
        *ret_value = word + 2 + length + 1;
    found = find_in(mine, word + 2, length);
    return found != NULL ? found : find_in(den_global_options, word + 2, length);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static void give(struct den_args *args, const struct den_option *option,
                 const char *value)
{
    args->given[args->given_count++] = (struct den_given){option, value};
}

/* Takes the option at argv[i] with its values; returns the index behind them, 0 on
 * failure. */
static int take_option(struct den_args *args, int argc, char *const *argv, int i,
                       struct den_err *err)
{
    const char *word = argv[i++], *joined;
    const struct den_option *option = find(args, word, &joined);
    if (option == NULL) {
        const char *name = args->command != NULL ? args->command->name : "";
        return den_err_set(err, DEN_E_INVALID,
                           "there is no option %.60s; `denoise %s%s--help` lists them",
                           word, name, name[0] != '\0' ? " " : "");
    }
    if (option->kind == DEN_OPTION_FLAG) {
        if (joined != NULL)
            return den_err_set(err, DEN_E_INVALID, "--%s takes no value", option->name);
        give(args, option, "");
        return i;
    }
    if (option->kind == DEN_OPTION_VALUE && den_args_has(args, option->name))
        return den_err_set(err, DEN_E_INVALID, "--%s is given twice", option->name);
    if (joined == NULL && i == argc)
        return den_err_set(err, DEN_E_INVALID, "--%s needs a value (%s)", option->name,
                           option->value);
    give(args, option, joined != NULL ? joined : argv[i++]);
    while (option->kind == DEN_OPTION_LIST && i < argc && !is_option(argv[i]))
        give(args, option, argv[i++]);
    return i;
}

static bool take_word(struct den_args *args, const char *word, struct den_err *err)
{
    if (args->command != NULL) {
        args->words[args->count++] = word;
        return true;
    }
    args->command = den_command_find(word);
    if (args->command == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "there is no command '%.40s'; `denoise --help` lists them",
                           word);
    return true;
}

bool den_args_parse(struct den_args *args, int argc, char *const *argv,
                    struct den_err *err)
{
    bool only_words = false;
    *args = (struct den_args){0};
    /* Every word of argv is at most one argument or one value. */
    args->words = den_new((size_t)argc, sizeof *args->words, err);
    args->given = den_new((size_t)argc, sizeof *args->given, err);
    if (args->words == NULL || args->given == NULL)
        return false;
    for (int i = 1; i < argc;) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
            i++;
        } else if (!only_words && is_option(argv[i])) {
            i = take_option(args, argc, argv, i, err);
            if (i == 0)
                return false;
        } else if (!take_word(args, argv[i++], err)) {
            return false;
        }
    }
    return true;
}

bool den_args_check(const struct den_args *args, struct den_err *err)
{
    const struct den_command *command = args->command;
    if (args->count < command->least)
        return den_err_set(err, DEN_E_INVALID, "too few arguments; usage: denoise %s %s",
                           command->name, command->synopsis);
    if (args->count > command->most)
        return den_err_set(err, DEN_E_INVALID,
                           "'%.60s' is one argument too many; usage: denoise %s %s",
                           args->words[command->most], command->name, command->synopsis);
    return true;
}

void den_args_release(struct den_args *args)
{
    den_free(args->words);
    den_free(args->given);
    *args = (struct den_args){0};
}

const char *den_args_at(const struct den_args *args, const char *name, size_t i)
{
    for (size_t k = 0; k < args->given_count; k++)
        if (strcmp(args->given[k].option->name, name) == 0 && i-- == 0)
            return args->given[k].value;
    return NULL;
}

size_t den_args_count(const struct den_args *args, const char *name)
{
    size_t n = 0;
    while (den_args_at(args, name, n) != NULL)
        n++;
    return n;
}

bool den_args_has(const struct den_args *args, const char *name)
{
    return den_args_at(args, name, 0) != NULL;
}

const char *den_args_text(const struct den_args *args, const char *name)
{
    size_t n = den_args_count(args, name);
    return n > 0 ? den_args_at(args, name, n - 1) : NULL;
}

static bool about_option(struct den_err *err, const char *name,
                         const struct den_err *cause)
{
    char option[64];
    (void)den_str_format(option, sizeof option, "--%s", name);
    return den_err_about(err, option, cause);
}

bool den_args_int(const struct den_args *args, const char *name, int64_t min, int64_t max,
                  int64_t *ret, struct den_err *err)
{
    const char *text = den_args_text(args, name);
    struct den_err cause = DEN_ERR_INIT;
    if (text == NULL || den_parse_int(text, min, max, ret, &cause))
        return true;
    return about_option(err, name, &cause);
}

bool den_args_double(const struct den_args *args, const char *name, double min,
                     double max, double *ret, struct den_err *err)
{
    const char *text = den_args_text(args, name);
    struct den_err cause = DEN_ERR_INIT;
    if (text == NULL || den_parse_double(text, min, max, ret, &cause))
        return true;
    return about_option(err, name, &cause);
}
