/* An fc_info in words and in JSON. */
#ifndef INFO_H
#define INFO_H

#include <framecache/framecache.h>

int64_t now(void); /* nanoseconds since 1970 */

/* Each returns `out`. */
const char *format_ago(char *out, size_t bytes, int64_t now_ns, int64_t then_ns);
const char *format_expiry(char *out, size_t bytes, int64_t now_ns, int64_t expires_ns);

void json_info(const fc_info *info); /* its members, without `leased` */

#endif
