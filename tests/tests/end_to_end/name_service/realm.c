/* A name service of a realm: `CORP\NAME` and `NAME@corp.example` are the account NAME of /etc/passwd. About `CORP\broken` it
 * can't answer. */

#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum nss_status _nss_realm_getpwnam_r(const char *, struct passwd *, char *, size_t, int *);
enum nss_status _nss_realm_getpwnam_r(const char *asked, struct passwd *found, char *room, size_t size, int *error)
{
    const char *suffix = strstr(asked, "@corp.example");
    char name[64] = "";
    if (strcmp(asked, "CORP\\broken") == 0) {
        *error = EAGAIN;
        return NSS_STATUS_TRYAGAIN;
    }
    if (strncmp(asked, "CORP\\", 5) == 0)
        snprintf(name, sizeof name, "%s", asked + 5);
    else if (suffix)
        snprintf(name, sizeof name, "%.*s", (int)(suffix - asked), asked);
    enum nss_status status = NSS_STATUS_NOTFOUND;
    FILE *file = name[0] ? fopen("/etc/passwd", "re") : NULL;
    struct passwd *next;
    while (file && fgetpwent_r(file, found, room, size, &next) == 0)
        if (strcmp(found->pw_name, name) == 0) {
            status = NSS_STATUS_SUCCESS;
            break;
        }
    if (file)
        fclose(file);
    *error = ENOENT;
    return status;
}
