/* The function's log: whole lines, handed to the host. */
#include "inside.h"

#include <string.h>

IMPORT("log", "write") void log_write(uint32_t level, const char *at, size_t size);

void eddyline_log(eddy_level level, const char *at, size_t size) { log_write(level, at, size); }
void eddy_log(eddy_level level, const char *line) { log_write(level, line, strlen(line)); }
