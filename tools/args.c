/* The command line: options may stand before or after the command and its operands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "text.h"

typedef struct word_list {
    int count, next;
    char **at;
    bool options_over; /* behind "--" */
} word_list;

static const command *find_command(const char *name) {
    for (const command *found = commands; found->name; found++)
        if (strcmp(found->name, name) == 0)
            return found;
    return NULL;
}

static int usage(const char *what, const char *which) {
    fprintf(stderr, "framecache: %s%s%s\nTry: framecache --help\n", what,
            which ? " " : "", which ? which : "");
    return EXIT_USAGE;
}

/* The value of "--name=value" or "--name value"; NULL: this is another option, or (then
 * *status is set) its value is missing. */
static const char *option_value(word_list *words, const char *name, int *status) {
    const char *word = words->at[words->next];
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0)
        return NULL;
    if (word[length] == '=')
        return word + length + 1;
    if (word[length] != '\0')
        return NULL;
    if (words->next + 1 >= words->count) {
        *status = usage("a value is missing after", name);
        return NULL;
    }
    return words->at[++words->next];
}

static int set_rows(cmd_request *out, const char *text) {
    char *end;
    long long rows = strtoll(text, &end, 10);
    if (end == text || *end || rows < 0 || rows > 1000000)
        return usage("--rows must be a number from 0 to 1000000, not", text);
    out->rows = rows;
    return EXIT_FINE;
}

/* Options that only some commands have, as bits. */
static const char *const special_options[] = {"--data", "--escaped", "--rows"};
enum { USED_DATA = 1, USED_ESCAPED = 2, USED_ROWS = 4 };

static int take_option(cmd_request *out, word_list *words, unsigned *used) {
    const char *word = words->at[words->next], *value;
    int status = EXIT_FINE;
    if (strcmp(word, "--json") == 0) {
        out->json = true;
    } else if (strcmp(word, "--data") == 0) {
        out->data = true;
        *used |= USED_DATA;
    } else if (strcmp(word, "--escaped") == 0 || strcmp(word, "-e") == 0) {
        out->escaped = true;
        *used |= USED_ESCAPED;
    } else if ((value = option_value(words, "--dir", &status))) {
        out->dir = value;
        if (!*value)
            status = usage("--dir must name a directory", NULL);
    } else if (!status && (value = option_value(words, "--rows", &status))) {
        status = set_rows(out, value);
        *used |= USED_ROWS;
    } else if (!status) {
        status = usage("there is no option", word);
    }
    return status;
}

static int set_operands(cmd_request *out, char **operands, int count) {
    fc_bytes *keys = need(NULL, sizeof *keys * (size_t)(count ? count : 1));
    for (int i = 0; i < count; i++) {
        keys[i] = fc_str(operands[i]);
        if (out->escaped && !unescape(operands[i], &keys[i].size)) {
            free(keys);
            return usage("with --escaped a backslash begins \\\\ or \\xff, not as in",
                         operands[i]);
        }
    }
    out->operands = keys;
    out->operand_count = count;
    return EXIT_FINE;
}

static int check(const command *found, int operands, unsigned used) {
    char text[256];
    for (unsigned i = 0; i < sizeof special_options / sizeof *special_options; i++)
        if (used >> i & 1 && !strstr(found->options, special_options[i])) {
            snprintf(text, sizeof text, "%s has no option", found->name);
            return usage(text, special_options[i]);
        }
    if (operands < found->operands_min || operands > found->operands_max) {
        snprintf(text, sizeof text, "framecache %s %s", found->name, found->synopsis);
        return usage("the form is:", text);
    }
    return EXIT_FINE;
}

const command *parse_arguments(cmd_request *out, int count, char **given, int *status) {
    word_list words = {.count = count, .at = given};
    const command *found = NULL;
    unsigned used = 0;
    int operands = 0;
    *out = (cmd_request){.rows = 5};
    *status = EXIT_FINE;
    for (; words.next < words.count; words.next++) {
        char *word = words.at[words.next];
        if (!words.options_over && strcmp(word, "--") == 0) {
            words.options_over = true;
        } else if (!words.options_over &&
                   (!strcmp(word, "--help") || !strcmp(word, "-h"))) {
            return print_help(), NULL;
        } else if (!words.options_over && strcmp(word, "--version") == 0) {
            found = find_command("version");
        } else if (!words.options_over && word[0] == '-' && word[1]) {
            if ((*status = take_option(out, &words, &used)))
                return NULL;
        } else if (!found && strcmp(word, "help") == 0) {
            return print_help(), NULL;
        } else if (!found) {
            if (!(found = find_command(word)))
                return *status = usage("there is no command", word), NULL;
        } else {
            given[operands++] = word; /* never overtakes words.next */
        }
    }
    if (!found)
        return *status = usage("which command?", NULL), NULL;
    if ((*status = check(found, operands, used)) ||
        (*status = set_operands(out, given, operands)))
        return NULL;
    return found;
}
