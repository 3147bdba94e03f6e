/*
 * Stands behind the module in a stack and shows what it left there: the password (PAM_AUTHTOK).
 */
#include <security/pam_modules.h>
#include <stdio.h>

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    const void *password = NULL;
    (void)flags, (void)argc, (void)argv;
    pam_get_item(pam, PAM_AUTHTOK, &password);
    printf("behind: %s\n", password ? (const char *)password : "(no password)");
    return PAM_IGNORE;
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam, (void)flags, (void)argc, (void)argv;
    return PAM_IGNORE;
}
