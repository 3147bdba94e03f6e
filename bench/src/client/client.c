/*
 * A PAM application that measures: does one login after another as it is told on standard input, one a
 * line, and says on standard output how long each took, in nanoseconds of the monotonic clock.
 *
 *   client CONFDIR
 *
 *   login LOGIN    in this process
 *   fork LOGIN     in a child process, to which no module is loaded yet
 *   exec LOGIN     in a program of its own: "CODE WHOLE", from its start to its end
 *   memory LOGIN   in this process: "CODE BEFORE AFTER BEFORE AFTER", the kilobytes that are resident, and
 *                  of those the ones it has written to, before pam_start and before pam_end
 *   sync FILE      overwrites 512 bytes at the file's beginning, fdatasync
 *
 *   client CONFDIR LOGIN   one login, and its code as the exit code
 *
 * LOGIN is SERVICE USER RHOST ANSWER...; RHOST may be "-" for none.
 *
 * Before its clock starts, a process has looked the account up: sshd, su and sudo all do so in the process that
 * calls pam_start, so that the name service is loaded and set up whatever the module needs of it. A program of
 * its own does it at its start, as su does, within its time; every module's has it.
 *
 * A login is pam_start, pam_authenticate and, where that succeeds, pam_acct_mgmt and pam_setcred, then
 * pam_end. Its answer is "CODE WHOLE STEP...": libpam's code, the time of all calls, and of
 * pam_authenticate the time up to each prompt and up to its return, so that the last step is how long a
 * refusal or an acceptance took after the last answer. Words are separated by single spaces; in an answer,
 * %XX is a byte. Prompts beyond the last answer get PAM_CONV_ERR. The pause after a failure is left out: it
 * is libpam's.
 *
 * The client ends at once if nothing listens at /dev/log: syslog(3) then opens the console at every line,
 * and a module that writes one pays for it with a millisecond.
 */
#define _GNU_SOURCE
#include <security/pam_appl.h>

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* What a word of the command stands for: %XX is a byte. */
static char *typed(const char *word)
{
    char *answer = strdup(word), *to = answer;
    for (; answer && *word; word++) {
        unsigned byte;
        if (*word == '%' && word[1] && word[2] && sscanf(word + 1, "%2x", &byte) == 1)
            word += 2;
        else
            byte = (unsigned char)*word;
        *to++ = (char)byte;
    }
    if (answer)
        *to = 0;
    return answer;
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
        array[i].resp = typed(*login->answers++);
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

/* Kilobytes of this process: resident, and of those what it has written to and nobody can share. */
struct memory {
    long resident, written;
};

static struct memory memory(void)
{
    struct memory sum = {0, 0};
    char line[256];
    FILE *maps = fopen("/proc/self/smaps_rollup", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        long kilobytes = 0;
        if (sscanf(line, "Rss: %ld", &kilobytes) == 1)
            sum.resident = kilobytes;
        else if (sscanf(line, "Private_Dirty: %ld", &kilobytes) == 1)
            sum.written = kilobytes;
    }
    if (maps)
        fclose(maps);
    return sum;
}

/* words: SERVICE USER RHOST ANSWER...; before_end: measured before pam_end, or NULL */
static int log_in(const char *confdir, char **words, int count, struct login *login, struct memory *before_end)
{
    *login = (struct login){.answers = words + 3, .left = count - 3};
    struct pam_conv conversation = {converse, login};
    pam_handle_t *pam = NULL;
    int code = pam_start_confdir(words[0], words[1], &conversation, confdir, &pam);
    if (code == PAM_SUCCESS) {
        pam_set_item(pam, PAM_FAIL_DELAY, (const void *)no_pause);
        pam_set_item(pam, PAM_TTY, "ssh");
        if (strcmp(words[2], "-") != 0)
            pam_set_item(pam, PAM_RHOST, words[2]);
        login->since = now();
        code = pam_authenticate(pam, 0);
        step(login);
        if (code == PAM_SUCCESS)
            code = pam_acct_mgmt(pam, 0);
        if (code == PAM_SUCCESS)
            code = pam_setcred(pam, PAM_ESTABLISH_CRED);
        if (before_end)
            *before_end = memory();
        pam_end(pam, code);
    }
    return code;
}

/* What every application does before it calls pam_start. Nobody else asks for the parent: a trace of the system
 * calls shows by it where the login begins. */
static void look_up(const char *user)
{
    getpwnam(user);
    getppid();
}

static void timed(const char *confdir, char **words, int count)
{
    struct login login;
    look_up(words[1]);
    long long begin = now();
    int code = log_in(confdir, words, count, &login, NULL);
    printf("%d %lld", code, now() - begin);
    for (int i = 0; i < login.taken; i++)
        printf(" %lld", login.steps[i]);
    putchar('\n');
}

static void weighed(const char *confdir, char **words, int count)
{
    struct login login;
    look_up(words[1]);
    struct memory before = memory(), after = before;
    /* Once more, because reading is what brings stdio's own pages in. */
    before = memory();
    int code = log_in(confdir, words, count, &login, &after);
    printf("%d %ld %ld %ld %ld\n", code, before.resident, after.resident, before.written, after.written);
}

static void in_a_child(const char *confdir, char **words, int count)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        timed(confdir, words, count);
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

/* line: this program's own path and directory, and the words of the login */
static void in_a_program(char **line)
{
    extern char **environ;
    pid_t child;
    int status = 0;
    long long begin = now();
    if (posix_spawn(&child, line[0], NULL, NULL, line, environ) == 0 && waitpid(child, &status, 0) == child &&
        WIFEXITED(status))
        printf("%d %lld\n", WEXITSTATUS(status), now() - begin);
    else
        puts("error exec");
}

static int syslog_listens(void)
{
    struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int listens = socket_ >= 0 && connect(socket_, (struct sockaddr *)&log, sizeof log) == 0;
    if (socket_ >= 0)
        close(socket_);
    return listens;
}

int main(int argc, char **argv)
{
    static char line[LINE];
    if (argc > 5) {
        struct login login;
        look_up(argv[3]);
        return log_in(argv[1], argv + 2, argc - 2, &login, NULL);
    }
    if (argc != 2) {
        fputs("usage: client CONFDIR [SERVICE USER RHOST ANSWER...]\n", stderr);
        return 2;
    }
    if (!syslog_listens()) {
        fputs("nothing listens at /dev/log: what a module writes to syslog would cost a multiple\n", stderr);
        return 3;
    }
    while (fgets(line, sizeof line, stdin)) {
        /* A program of its own is given them as they are, behind its name and its directory. */
        char *program[WORDS + 3] = {argv[0], argv[1]}, **words = program + 1, *rest = line;
        int count = 0;
        line[strcspn(line, "\n")] = 0;
        while (count < WORDS && (words[count] = strsep(&rest, " ")))
            count++;
        const char *command = words[0];
        words[0] = argv[1];
        if (strcmp(command, "login") == 0 && count > 4)
            timed(argv[1], words + 1, count - 1);
        else if (strcmp(command, "fork") == 0 && count > 4)
            in_a_child(argv[1], words + 1, count - 1);
        else if (strcmp(command, "exec") == 0 && count > 4)
            in_a_program(program);
        else if (strcmp(command, "memory") == 0 && count > 4)
            weighed(argv[1], words + 1, count - 1);
        else if (strcmp(command, "sync") == 0 && count == 2)
            overwrite(words[1]);
        else
            puts("error command");
        fflush(stdout);
    }
    return 0;
}
