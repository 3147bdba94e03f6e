/* A program whose conversation ends its thread (pthread_exit): the program itself goes on. Prints what became of it. */

#include <pthread.h>
#include <security/pam_appl.h>
#include <stdio.h>

static int ends(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    (void)count, (void)messages, (void)responses, (void)data;
    pthread_exit((void *)7);
}

static void *login(void *service)
{
    struct pam_conv conversation = {ends, NULL};
    pam_handle_t *handle = NULL;
    if (pam_start(service, "alice", &conversation, &handle) != PAM_SUCCESS)
        return (void *)1;
    pam_authenticate(handle, 0);
    return (void *)2;
}

int main(int count, char **arguments)
{
    pthread_t thread;
    void *ended = NULL;
    if (count != 2 || pthread_create(&thread, NULL, login, arguments[1]) != 0)
        return 1;
    pthread_join(thread, &ended);
    printf("thread ended with %ld, and the program goes on\n", (long)ended);
    return 0;
}
