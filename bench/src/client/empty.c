/* The floor: a module that asks once, as every second factor does, and lets everybody in. */
#include <security/pam_modules.h>
#include <security/pam_ext.h>

#include <stdlib.h>

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    char *answer = NULL;
    (void)flags, (void)argc, (void)argv;
    int code = pam_prompt(pam, PAM_PROMPT_ECHO_OFF, &answer, "Verification code: ");
    free(answer);
    return code;
}

int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}
