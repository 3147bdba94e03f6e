/*
 * A PAM application for tests: does what it is told line by line on standard input and says on standard
 * output what the modules asked, said and returned. It decides nothing itself.
 *
 *   start SERVICE USER      pam_start             item rhost|tty|ruser|user VALUE   pam_set_item
 *   putenv NAME=VALUE       pam_putenv
 *   auth|acct|cred|open|close FLAGS   the calls   end                          pam_end
 *   gate PATH               from now on, before a call and after each answer, waits while somebody else holds flock on PATH
 *   identity NAME           openlog, setlocale    log TEXT                     a line of the program's own to syslog
 *   manner                  says its locale       wipe                         forgets what it was told and has said
 *
 * Each command ends in "= CODE TEXT". During a call there may come "ask on|off TEXT" (echo), which waits
 * for an answer, and "tell info|error TEXT", and "delay MICROSECONDS" in place of the pause. Answers:
 *
 *   say TEXT      no-reply (a null reply)      no-array (success without replies)      refuse (PAM_CONV_ERR)
 *
 * Words are percent-encoded, so that a space, a newline and any byte can be said.
 */
#include <security/pam_appl.h>

#include <locale.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <syslog.h>

#define LINE 65536

static pam_handle_t *pam;
static int gate = -1;

/* All that ever holds what somebody typed, or was shown: wiped on demand. */
static char command_line[LINE], answer_line[LINE], input_buffer[LINE], output_buffer[LINE];

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Decodes in place. */
static void decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            *to++ = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

static void print_encoded(const char *text)
{
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == '%' || c >= 0x7f)
            printf("%%%02x", c);
        else
            putchar(c);
    }
}

static char *next_line(char *line)
{
    char *end;
    if (!fgets(line, LINE, stdin))
        exit(0);
    end = strchr(line, '\n');
    if (end)
        *end = 0;
    return line;
}

/* Many processes wait at one gate, and go on together. */
static void pass_gate(void)
{
    if (gate >= 0 && (flock(gate, LOCK_SH) || flock(gate, LOCK_UN)))
        exit(3);
}

static int open_gate(char *path)
{
    decode(path);
    gate = open(path, O_RDONLY | O_CLOEXEC);
    return gate >= 0 ? PAM_SUCCESS : PAM_SYSTEM_ERR;
}

static void wipe_replies(struct pam_response *replies, int count)
{
    for (int i = 0; i < count; i++)
        free(replies[i].resp);
    free(replies);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **out, void *data)
{
    char *line = answer_line;
    struct pam_response *replies = calloc((size_t)(count > 0 ? count : 1), sizeof *replies);
    (void)data;
    if (!replies)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG) {
            printf("tell %s ", style == PAM_TEXT_INFO ? "info" : "error");
            print_encoded(messages[i]->msg);
            printf("\n");
            fflush(stdout);
            continue;
        }
        printf("ask %s ", style == PAM_PROMPT_ECHO_ON ? "on" : "off");
        print_encoded(messages[i]->msg);
        printf("\n");
        fflush(stdout);
        next_line(line);
        if (!strncmp(line, "say ", 4)) {
            decode(line + 4);
            pass_gate();
            replies[i].resp = strdup(line + 4);
        } else if (!strcmp(line, "no-array")) {
            wipe_replies(replies, count);
            *out = NULL;
            return PAM_SUCCESS;
        } else if (strcmp(line, "no-reply") != 0) {
            wipe_replies(replies, count);
            return PAM_CONV_ERR;
        }
    }
    *out = replies;
    return PAM_SUCCESS;
}

static void note_delay(int status, unsigned microseconds, void *data)
{
    (void)status;
    (void)data;
    if (microseconds)
        printf("delay %u\n", microseconds);
}

static void report(int code)
{
    printf("= %d ", code);
    print_encoded(pam_strerror(pam, code));
    printf("\n");
    fflush(stdout);
}

static int start(char *service, char *user)
{
    static struct pam_conv conversation = { converse, NULL };
    union { void (*f)(int, unsigned, void *); const void *p; } delay = { .f = note_delay };
    int code;
    decode(service);
    decode(user);
    code = pam_start(service, user, &conversation, &pam);
    if (code == PAM_SUCCESS)
        code = pam_set_item(pam, PAM_FAIL_DELAY, delay.p);
    return code;
}

static int item(const char *name, char *value)
{
    int type = !strcmp(name, "rhost") ? PAM_RHOST : !strcmp(name, "tty") ? PAM_TTY
        : !strcmp(name, "user") ? PAM_USER : PAM_RUSER;
    decode(value);
    return pam_set_item(pam, type, value);
}

static int identity(const char *name)
{
    static char kept[64];
    snprintf(kept, sizeof kept, "%s", name);
    openlog(kept, LOG_PID, LOG_AUTHPRIV);
    return setlocale(LC_ALL, "") ? PAM_SUCCESS : PAM_SYSTEM_ERR;
}

static int manner(void)
{
    printf("tell info ");
    print_encoded(setlocale(LC_ALL, NULL));
    printf("\n");
    return PAM_SUCCESS;
}

static int wipe(void)
{
    fflush(stdout);
    /* Whoever gives commands waits for the answer: nothing is left unread. */
    explicit_bzero(input_buffer, sizeof input_buffer);
    explicit_bzero(output_buffer, sizeof output_buffer);
    explicit_bzero(command_line, sizeof command_line);
    explicit_bzero(answer_line, sizeof answer_line);
    return PAM_SUCCESS;
}

int main(void)
{
    char *line = command_line;
    int last = PAM_SUCCESS;
    setvbuf(stdin, input_buffer, _IOFBF, sizeof input_buffer);
    setvbuf(stdout, output_buffer, _IOFBF, sizeof output_buffer);
    for (;;) {
        char *word = strtok(next_line(line), " ");
        char *first = strtok(NULL, " ");
        char *second = strtok(NULL, " ");
        if (!word)
            continue;
        if (!strcmp(word, "start")) {
            last = start(first, second ? second : (char[]){ 0 });
        } else if (!strcmp(word, "item")) {
            last = item(first, second ? second : (char[]){ 0 });
        } else if (!strcmp(word, "putenv")) {
            decode(first);
            last = pam_putenv(pam, first);
        } else if (!strcmp(word, "gate")) {
            last = open_gate(first);
        } else if (!strcmp(word, "auth")) {
            pass_gate();
            last = pam_authenticate(pam, atoi(first));
        } else if (!strcmp(word, "acct")) {
            last = pam_acct_mgmt(pam, atoi(first));
        } else if (!strcmp(word, "cred")) {
            last = pam_setcred(pam, atoi(first));
        } else if (!strcmp(word, "open")) {
            last = pam_open_session(pam, atoi(first));
        } else if (!strcmp(word, "close")) {
            last = pam_close_session(pam, atoi(first));
        } else if (!strcmp(word, "end")) {
            last = pam_end(pam, last);
            pam = NULL;
        } else if (!strcmp(word, "identity")) {
            last = identity(first);
        } else if (!strcmp(word, "log")) {
            decode(first);
            syslog(LOG_NOTICE, "%s", first);
            last = PAM_SUCCESS;
        } else if (!strcmp(word, "manner")) {
            last = manner();
        } else if (!strcmp(word, "wipe")) {
            last = wipe();
        } else {
            fprintf(stderr, "unknown command %s\n", word);
            return 2;
        }
        report(last);
    }
}
