/* What the files of this folder need of each other: nothing for handlers. */
#ifndef EDDYLINE_INSIDE_H
#define EDDYLINE_INSIDE_H

#include "eddyline.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(interface, name) \
    __attribute__((import_module("eddyline:function/" interface "@1.0.0"), import_name(name)))

/* The settings, for as long as the instance lives. */
extern const eddy_header *eddyline_settings;
extern size_t eddyline_setting_count;

/* When the event was stored that is handled, nanoseconds since 1970; 0 before the first. */
extern uint64_t eddyline_time_ns;

/* Memory until the call returns, for any type. */
void *eddyline_room(size_t size);
/* A copy, with a zero byte behind it. */
const char *eddyline_copy(const void *at, size_t size);
/* What was taken in this call stays for ever. */
void eddyline_keep_room(void);
/* The call is over. */
void eddyline_free_room(void);

/* A line of the log that need not end with a zero byte. */
void eddyline_log(eddy_level level, const char *at, size_t size);
/* Logs what was printed without the end of a line. */
void eddyline_end_lines(void);
/* Ends the call with a reason, which the log and whoever looks at the fault see. */
_Noreturn void eddyline_fail(const char *reason);

#endif
