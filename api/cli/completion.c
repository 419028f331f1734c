#include "completion.h"

#include <string.h>

#include "cli.h"
#include "completion_kind.h"

/* ---- bash ---------------------------------------------------------------------------
 * One function; the tables become the patterns of its cases. */

static const char bash_head[] =
    "# bash completion of denoise; made by `denoise completion bash`\n"
    "_denoise_column() { timeout 1 denoise \"$@\" 2>/dev/null | awk 'NR > 1 { print $1 "
    "}'; "
    "}\n"
    "_denoise_offer() { # KIND CURRENT [WORDS]\n"
    "    case $1 in\n"
    "    files) compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$2\") ;;\n"
    "    folders) compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$2\") ;;\n"
    "    jobs) _denoise_offer words \"$2\" \"$(_denoise_column status)\" ;;\n"
    "    models) _denoise_offer words \"$2\" \"$(_denoise_column models)\" ;;\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$3\" -- \"$2\") ;;\n"
    "    esac\n"
    "}\n"
    "_denoise() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local command='' i\n"
    "    COMPREPLY=()\n"
    "    [ \"$current\" = = ] && current='' && before='='\n" /* --option=VALUE is three
                                                                words */
    "    [ \"$before\" = = ] && before=${COMP_WORDS[COMP_CWORD-1]} &&\n"
    "        [ \"$before\" = = ] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        ";

static void bash_names(FILE *to, const char *command, const struct den_option *o,
                       const char *between)
{
    (void)fprintf(to, "%s%s--%s", command, command[0] != '\0' ? ":" : "", o->name);
    if (o->letter != 0)
        (void)fprintf(to, "|%s%s-%c", command, command[0] != '\0' ? ":" : "", o->letter);
    (void)fputs(between, to);
}

static void bash_offer(FILE *to, enum den_kind kind, const char *value)
{
    char words[256];
    (void)fprintf(to, "_denoise_offer %s \"$current\"", den_kind_name(kind));
    if (kind == DEN_KIND_WORDS)
        (void)fprintf(to, " '%s'", den_kind_words(value, words, sizeof words));
}

static void bash_values(FILE *to, const char *command, const struct den_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        if (o->kind == DEN_OPTION_FLAG)
            continue;
        (void)fputs("    ", to);
        bash_names(to, command, o, ") ");
        bash_offer(to, den_kind_of(o->value), o->value);
        (void)fputs("; return ;;\n", to);
    }
}

static void bash_options(FILE *to, const struct den_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        (void)fprintf(to, " --%s", o->name);
        if (o->letter != 0)
            (void)fprintf(to, " -%c", o->letter);
    }
}

void den_completion_bash(FILE *to)
{
    (void)fputs(bash_head, to);
    for (const struct den_option *o = den_global_options; o->name != NULL; o++)
        if (o->kind != DEN_OPTION_FLAG)
            bash_names(to, "", o,
                       o[1].name != NULL && o[1].kind != DEN_OPTION_FLAG ? "|" : ")");
    (void)fputs(" ((i++)) ;;\n        -*) ;;\n"
                "        *) command=${COMP_WORDS[i]}; break ;;\n"
                "        esac\n    done\n    case $command:$before in\n",
                to);
    for (size_t i = 0; den_commands[i] != NULL; i++)
        bash_values(to, den_commands[i]->name, den_commands[i]->options);
    bash_values(to, "*", den_global_options);
    (void)fputs("    esac\n    case $command:$current in\n    :-*) _denoise_offer words "
                "\"$current\" '",
                to);
    bash_options(to, den_global_options);
    (void)fputs("' ;;\n    :*) _denoise_offer words \"$current\" '", to);
    for (size_t i = 0; den_commands[i] != NULL; i++)
        (void)fprintf(to, "%s%s", i > 0 ? " " : "", den_commands[i]->name);
    (void)fputs("' ;;\n", to);
    for (size_t i = 0; den_commands[i] != NULL; i++) {
        const struct den_command *c = den_commands[i];
        char value[64];
        enum den_kind kind = den_kind_of_words(c, value, sizeof value);
        (void)fprintf(to, "    %s:-*) _denoise_offer words \"$current\" '", c->name);
        bash_options(to, c->options);
        bash_options(to, den_global_options);
        (void)fprintf(to, "' ;;\n    %s:*) ", c->name);
        bash_offer(to, kind, value);
        (void)fputs(" ;;\n", to);
    }
    (void)fputs("    esac\n}\ncomplete -F _denoise denoise\n", to);
}

/* ---- zsh ----------------------------------------------------------------------------
 * _arguments [zshcompsys(1)] reads one quoted specification for each option. */

static const char zsh_head[] =
    "#compdef denoise\n"
    "# zsh completion of denoise; made by `denoise completion zsh`\n"
    "_denoise_column() {\n"
    "    local -a found\n"
    "    found=(${(f)\"$(timeout 1 denoise $1 2>/dev/null | awk 'NR > 1 { print $1 "
    "}')\"})\n"
    "    compadd -a found\n"
    "}\n"
    "_denoise() {\n"
    "    local -a commands common\n"
    "    local context state line\n"
    "    typeset -A opt_args\n";

/* Within single quotes; : [ and ] mean something to _arguments. */
static void zsh_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr(":[]\\", *text) != NULL)
            (void)fputc('\\', to);
        if (*text == '\'')
            (void)fputs("'\\''", to);
        else
            (void)fputc(*text, to);
    }
}

static void zsh_action(FILE *to, enum den_kind kind, const char *value)
{
    char words[256];
    static const char *const actions[] = {
        [DEN_KIND_NONE] = " ",
        [DEN_KIND_FILES] = "_files",
        [DEN_KIND_FOLDERS] = "_files -/",
        [DEN_KIND_JOBS] = "_denoise_column status",
        [DEN_KIND_MODELS] = "_denoise_column models",
    };
    if (kind == DEN_KIND_WORDS)
        (void)fprintf(to, "(%s)", den_kind_words(value, words, sizeof words));
    else
        (void)fputs(actions[kind], to);
}

static void zsh_option(FILE *to, const struct den_option *o, const char *dashes,
                       char letter)
{
    (void)fputs("        '", to);
    if (o->kind == DEN_OPTION_REPEAT || o->kind == DEN_OPTION_LIST)
        (void)fputc('*', to);
    if (letter != 0)
        (void)fprintf(to, "-%c", letter);
    else
        (void)fprintf(to, "%s%s", dashes, o->name);
    (void)fputc('[', to);
    zsh_text(to, o->doc);
    (void)fputc(']', to);
    if (o->kind != DEN_OPTION_FLAG) {
        (void)fputc(':', to);
        zsh_text(to, o->value);
        (void)fputc(':', to);
        zsh_action(to, den_kind_of(o->value), o->value);
    }
    (void)fputs("' \\\n", to);
}

static void zsh_options(FILE *to, const struct den_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        zsh_option(to, o, "--", 0);
        if (o->letter != 0)
            zsh_option(to, o, "", o->letter);
    }
}

void den_completion_zsh(FILE *to)
{
    (void)fputs(zsh_head, to);
    (void)fputs("    commands=(\n", to);
    for (size_t i = 0; den_commands[i] != NULL; i++) {
        (void)fprintf(to, "        '%s:", den_commands[i]->name);
        zsh_text(to, den_commands[i]->doc);
        (void)fputs("'\n", to);
    }
    (void)fputs("    )\n    common=(\n", to);
    zsh_options(to, den_global_options);
    (void)fputs("    )\n"
                "    _arguments -C $common '1:command:->command' '*::argument:->rest' && "
                "return\n"
                "    case $state in\n"
                "    command) _describe command commands; return ;;\n"
                "    esac\n"
                "    case $line[1] in\n",
                to);
    for (size_t i = 0; den_commands[i] != NULL; i++) {
        const struct den_command *c = den_commands[i];
        char value[64];
        enum den_kind kind = den_kind_of_words(c, value, sizeof value);
        (void)fprintf(to, "    %s) _arguments $common \\\n", c->name);
        for (const struct den_option *o = c->options; o->name != NULL; o++) {
            const struct den_option one[2] = {*o, {NULL, 0, DEN_OPTION_FLAG, NULL, NULL}};
            zsh_options(to, one);
        }
        (void)fputs("        '*:argument:", to);
        zsh_action(to, kind, value);
        (void)fputs("' ;;\n", to);
    }
    (void)fputs("    esac\n}\n_denoise \"$@\"\n", to);
}

/* ---- fish ---------------------------------------------------------------------------
 */

static void fish_text(FILE *to, const char *text)
{
    (void)fputc('\'', to);
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            (void)fputc('\\', to);
        (void)fputc(*text, to);
    }
    (void)fputc('\'', to);
}

static void fish_arguments(FILE *to, enum den_kind kind, const char *value)
{
    char words[256];
    static const char *const arguments[] = {
        [DEN_KIND_NONE] = " -f",
        [DEN_KIND_FILES] = " -F",
        [DEN_KIND_FOLDERS] = " -f -a '(__fish_complete_directories)'",
        [DEN_KIND_JOBS] = " -f -a '(__denoise_column status)'",
        [DEN_KIND_MODELS] = " -f -a '(__denoise_column models)'",
    };
    if (kind == DEN_KIND_WORDS)
        (void)fprintf(to, " -f -a '%s'", den_kind_words(value, words, sizeof words));
    else
        (void)fputs(arguments[kind], to);
}

static void fish_options(FILE *to, const char *condition, const struct den_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        (void)fprintf(to, "complete -c denoise%s -l %s", condition, o->name);
        if (o->letter != 0)
            (void)fprintf(to, " -s %c", o->letter);
        if (o->kind != DEN_OPTION_FLAG) {
            (void)fputs(" -r", to);
            fish_arguments(to, den_kind_of(o->value), o->value);
        }
        (void)fputs(" -d ", to);
        fish_text(to, o->doc);
        (void)fputc('\n', to);
    }
}

void den_completion_fish(FILE *to)
{
    char condition[128];
    (void)fputs("# fish completion of denoise; made by `denoise completion fish`\n"
                "function __denoise_column\n"
                "    timeout 1 denoise $argv[1] 2>/dev/null | awk 'NR > 1 { print $1 }'\n"
                "end\n"
                "complete -c denoise -f\n",
                to);
    fish_options(to, "", den_global_options);
    for (size_t i = 0; den_commands[i] != NULL; i++) {
        const struct den_command *c = den_commands[i];
        char value[64];
        enum den_kind kind = den_kind_of_words(c, value, sizeof value);
        (void)fprintf(to, "complete -c denoise -n __fish_use_subcommand -a %s -d ",
                      c->name);
        fish_text(to, c->doc);
        (void)fputc('\n', to);
        (void)snprintf(condition, sizeof condition,
                       " -n '__fish_seen_subcommand_from %s'", c->name);
        fish_options(to, condition, c->options);
        (void)fprintf(to, "complete -c denoise%s", condition);
        fish_arguments(to, kind, value);
        (void)fputc('\n', to);
    }
}
