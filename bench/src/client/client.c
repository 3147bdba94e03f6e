/*
 * A PAM application that measures: does one login after another as it is told on standard input, one a
 * line, and says on standard output how long each took, in nanoseconds of the monotonic clock.
 *
 *   client CONFDIR
 *
 *   login SERVICE USER RHOST ANSWER...   in this process; RHOST may be "-" for none
 *   fork SERVICE USER RHOST ANSWER...    in a child of its own, to which no module is loaded yet
 *   sync FILE                            overwrites 512 bytes at the file's beginning, fdatasync
 *   memory                               resident kilobytes of this process
 *
 * A login is pam_start, pam_authenticate, pam_end, and answers "CODE WHOLE STEP...": libpam's code, the
 * time of all three calls, and of pam_authenticate the time up to each prompt and up to its return, so
 * that the last step is how long a refusal or an acceptance took after the last answer. Words are
 * separated by single spaces; an answer can't have any. Prompts beyond the last answer get PAM_CONV_ERR.
 * The pause after a failure is left out: it is libpam's.
 */
#define _GNU_SOURCE
#include <security/pam_appl.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 65536, WORDS = 64, STEPS = 64 };

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

struct login {
    char **answers;
    int left;
    long long since; /* when the module was given control */
    long long steps[STEPS];
    int taken;
};

static void step(struct login *login)
{
    if (login->taken < STEPS)
        login->steps[login->taken++] = now() - login->since;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **replies, void *data)
{
    struct login *login = data;
    int asked = 0;
    for (int i = 0; i < count; i++)
        asked += messages[i]->msg_style == PAM_PROMPT_ECHO_OFF || messages[i]->msg_style == PAM_PROMPT_ECHO_ON;
    if (asked)
        step(login);
    struct pam_response *array = calloc((size_t)count, sizeof *array);
    int result = PAM_SUCCESS;
    for (int i = 0; i < count && array; i++) {
        if (messages[i]->msg_style != PAM_PROMPT_ECHO_OFF && messages[i]->msg_style != PAM_PROMPT_ECHO_ON)
            continue;
        if (login->left == 0) {
            result = PAM_CONV_ERR;
            break;
        }
        login->left--;
        array[i].resp = strdup(*login->answers++);
    }
    if (!array || result != PAM_SUCCESS) {
        for (int i = 0; i < count && array; i++)
            free(array[i].resp);
        free(array);
        return PAM_CONV_ERR;
    }
    *replies = array;
    if (asked)
        login->since = now();
    return PAM_SUCCESS;
}

static void no_pause(int code, unsigned microseconds, void *data)
{
    (void)code, (void)microseconds, (void)data;
}

/* words: SERVICE USER RHOST ANSWER... */
static void log_in(const char *confdir, char **words, int count)
{
    struct login login = {.answers = words + 3, .left = count - 3};
    struct pam_conv conversation = {converse, &login};
    pam_handle_t *pam = NULL;
    long long begin = now();
    int code = pam_start_confdir(words[0], words[1], &conversation, confdir, &pam);
    if (code == PAM_SUCCESS) {
        pam_set_item(pam, PAM_FAIL_DELAY, (const void *)no_pause);
        pam_set_item(pam, PAM_TTY, "ssh");
        if (strcmp(words[2], "-") != 0)
            pam_set_item(pam, PAM_RHOST, words[2]);
        login.since = now();
        code = pam_authenticate(pam, 0);
        step(&login);
        pam_end(pam, code);
    }
    printf("%d %lld", code, now() - begin);
    for (int i = 0; i < login.taken; i++)
        printf(" %lld", login.steps[i]);
    putchar('\n');
}

static void in_a_child(const char *confdir, char **words, int count)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        log_in(confdir, words, count);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child)
        puts("error fork");
}

static void overwrite(const char *path)
{
    static const char block[512] = {1};
    long long begin = now();
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int good = file >= 0 && pwrite(file, block, sizeof block, 0) == sizeof block && fdatasync(file) == 0;
    if (file >= 0)
        close(file);
    if (good)
        printf("0 %lld\n", now() - begin);
    else
        puts("error overwrite");
}

static void memory(void)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            printf("0 %ld\n", strtol(line + 6, NULL, 10));
    if (status)
        fclose(status);
}

int main(int argc, char **argv)
{
    static char line[LINE];
    if (argc != 2) {
        fputs("usage: client CONFDIR\n", stderr);
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS], *rest = line;
        int count = 0;
        line[strcspn(line, "\n")] = 0;
        while (count < WORDS && (words[count] = strsep(&rest, " ")))
            count++;
        if (strcmp(words[0], "login") == 0 && count >= 4)
            log_in(argv[1], words + 1, count - 1);
        else if (strcmp(words[0], "fork") == 0 && count >= 4)
            in_a_child(argv[1], words + 1, count - 1);
        else if (strcmp(words[0], "sync") == 0 && count == 2)
            overwrite(words[1]);
        else if (strcmp(words[0], "memory") == 0)
            memory();
        else
            puts("error command");
        fflush(stdout);
    }
    return 0;
}
