/* Filling an fc_error, and the texts of the codes. */
#include "status.h"

#include <stdio.h>
#include <string.h>

const char *fc__errno_text(int sys_errno, char *text, size_t text_bytes) {
#ifdef __GLIBC__
    return strerror_r(sys_errno, text, text_bytes);
#else
    return strerror_r(sys_errno, text, text_bytes) ? "unknown error" : text;
#endif
}

static int fail(fc_error *error, int code, int sys_errno, const char *format,
                va_list arguments) {
    if (!error)
        return code;
    memset(error, 0, sizeof *error);
    error->code = code;
    error->sys_errno = sys_errno;
    error->miss_age_ms = -1;
    int written = vsnprintf(error->message, sizeof error->message, format, arguments);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (sys_errno && used < sizeof error->message - 1) {
        char text[128];
        snprintf(error->message + used, sizeof error->message - used, ": %s",
                 fc__errno_text(sys_errno, text, sizeof text));
    }
    return code;
}

int fc__fail(fc_error *error, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail(error, code, 0, format, arguments);
    va_end(arguments);
    return code;
}

int fc__fail_errno(fc_error *error, int code, int sys_errno, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail(error, code, sys_errno, format, arguments);
    va_end(arguments);
    return code;
}

int fc__fail_prefix(fc_error *error, int code, const char *format, ...) {
    if (!error)
        return code;
    char old[sizeof error->message];
    memcpy(old, error->message, sizeof old);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof error->message - 1)
        snprintf(error->message + used, sizeof error->message - used, "%s", old);
    error->code = code;
    return code;
}

int fc__ended(fc_error *error, int result, const char *call) {
    return result ? fc__fail(error, result, "the callback of %s() ended it with %d", call,
                             result)
                  : 0;
}

const char *fc_error_name(int code) {
    switch (code) {
    case FC_OK:
        return "FC_OK";
    case FC_DONE:
        return "FC_DONE";
#define FC_X(name, value, text)                                                           \
    case value:                                                                           \
        return "FC_E_" #name;
        FC_ERRORS(FC_X)
#undef FC_X
    default:
        return "unknown code";
    }
}

const char *fc_error_text(int code) {
    switch (code) {
    case FC_OK:
        return "success";
    case FC_DONE:
        return "no more";
#define FC_X(name, value, text)                                                           \
    case value:                                                                           \
        return text;
        FC_ERRORS(FC_X)
#undef FC_X
    default:
        return "a code that is not framecache's: of a callback, or of a newer version";
    }
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *fc_version(void) {
    return TEXT(FRAMECACHE_VERSION_MAJOR) "." TEXT(FRAMECACHE_VERSION_MINOR) "." TEXT(
        FRAMECACHE_VERSION_PATCH);
}
