/*
 * A program that asks libpam for a login, as sshd and sudo do, and shows all that happens on the
 * way: one line a call, a message or a line of the log. Written in C, so that Rust's part of what a
 * test sees (memory, panics, threads) is the module's alone.
 *
 *     host CONFDIR SERVICE USER [KEY=VALUE ...] -- STEP ...
 *
 * KEY is rhost, tty, ruser, authtok, env (VALUE is NAME=TEXT), flags, or reply: what the conversation
 * gives instead of an answer (no-array, null, error, none: no conversation function). STEP is auth,
 * account, setcred, =TEXT (the next answer; they run out into no reply), user=NAME, or pause (stops
 * until there is a line on standard input).
 */
#define _GNU_SOURCE
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *reply_kind = "";
static char **answers;
static int answers_left;

/* libpam's calls to syslog end here: the host is linked with -rdynamic. */
static void show_log(int priority, const char *format, va_list args)
{
    printf("log %d: ", priority & 7);
    vprintf(format, args);
    printf("\n");
}

void syslog(int priority, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    show_log(priority, format, args);
    va_end(args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list args;
    (void)flag;
    va_start(args, format);
    show_log(priority, format, args);
    va_end(args);
}

static void delay(int status, unsigned int microseconds, void *data)
{
    (void)data, (void)status;
    /* libpam varies what the module asked for by up to a half, either way */
    if (microseconds >= 1000000 && microseconds <= 3000000)
        printf("delay of 2 s or so\n");
    else if (microseconds)
        printf("delay of %u us\n", microseconds);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **replies,
                    void *data)
{
    (void)data;
    *replies = NULL;
    for (int i = 0; i < count; i++) {
        static const char *const styles[] = {"?", "ask", "ask aloud", "error", "tell"};
        int style = messages[i]->msg_style;
        printf("%s: %s\n", style >= 1 && style <= 4 ? styles[style] : "?", messages[i]->msg);
    }
    if (!strcmp(reply_kind, "error"))
        return PAM_CONV_ERR;
    if (!strcmp(reply_kind, "no-array"))
        return PAM_SUCCESS;
    struct pam_response *array = calloc((size_t)count, sizeof *array);
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        if (style != PAM_PROMPT_ECHO_OFF && style != PAM_PROMPT_ECHO_ON)
            continue;
        if (!strcmp(reply_kind, "null") || answers_left == 0)
            continue;
        array[i].resp = strdup(*answers);
        answers++;
        answers_left--;
    }
    *replies = array;
    return PAM_SUCCESS;
}

static int option(pam_handle_t *pam, struct pam_conv *conversation, int *flags, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return PAM_SERVICE_ERR;
    *value++ = '\0';
    if (!strcmp(word, "rhost"))
        return pam_set_item(pam, PAM_RHOST, value);
    if (!strcmp(word, "tty"))
        return pam_set_item(pam, PAM_TTY, value);
    if (!strcmp(word, "ruser"))
        return pam_set_item(pam, PAM_RUSER, value);
    if (!strcmp(word, "env"))
        return pam_putenv(pam, value);
    if (!strcmp(word, "flags"))
        return *flags = (int)strtol(value, NULL, 0), PAM_SUCCESS;
    if (!strcmp(word, "reply")) {
        reply_kind = value;
        if (!strcmp(value, "none")) {
            conversation->conv = NULL;
            return pam_set_item(pam, PAM_CONV, conversation);
        }
        return PAM_SUCCESS;
    }
    return PAM_SERVICE_ERR;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: host CONFDIR SERVICE USER [KEY=VALUE ...] -- STEP ...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct pam_conv conversation = {converse, NULL};
    pam_handle_t *pam = NULL;
    int flags = 0, status;
    status = pam_start_confdir(argv[2], argv[3], &conversation, argv[1], &pam);
    if (status != PAM_SUCCESS) {
        fprintf(stderr, "pam_start_confdir: %d\n", status);
        return 2;
    }
    pam_set_item(pam, PAM_FAIL_DELAY, (const void *)delay);
    int at = 4;
    for (; at < argc && strcmp(argv[at], "--"); at++) {
        status = option(pam, &conversation, &flags, argv[at]);
        if (status != PAM_SUCCESS) {
            fprintf(stderr, "%s: %d\n", argv[at], status);
            return 2;
        }
    }
    char **queue = calloc((size_t)argc, sizeof *queue);
    int queued = 0;
    for (int i = at + 1; i < argc; i++)
        if (argv[i][0] == '=')
            queue[queued++] = argv[i] + 1;
    answers = queue;
    answers_left = queued;
    status = PAM_SUCCESS;
    for (int i = at + 1; i < argc; i++) {
        const char *step = argv[i];
        if (step[0] == '=') {
            continue;
        } else if (!strncmp(step, "user=", 5)) {
            pam_set_item(pam, PAM_USER, step + 5);
            continue;
        } else if (!strcmp(step, "pause")) {
            printf("paused\n");
            while (getchar() != '\n' && !feof(stdin))
                ;
            continue;
        } else if (!strcmp(step, "auth")) {
            status = pam_authenticate(pam, flags);
        } else if (!strcmp(step, "account")) {
            status = pam_acct_mgmt(pam, flags);
        } else if (!strcmp(step, "setcred")) {
            status = pam_setcred(pam, PAM_ESTABLISH_CRED);
        } else {
            fprintf(stderr, "unknown step %s\n", step);
            return 2;
        }
        printf("%s = %d\n", step, status);
    }
    free(queue);
    pam_end(pam, status);
    printf("host goes on\n");
    return 0;
}
