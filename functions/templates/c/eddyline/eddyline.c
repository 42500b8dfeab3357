/* What eddyline.h promises and the host need not know of. */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The cases of the variant outcome, in the order of wit/events.wit. */
enum { ACK, DROP, REJECT, RETRY, HALT };

const eddy_header *eddyline_settings;
size_t eddyline_setting_count;

const char *eddy_setting(const char *key) {
    for (size_t n = 0; n < eddyline_setting_count; n++)
        if (strcmp(eddyline_settings[n].name, key) == 0)
            return eddyline_settings[n].value;
    return NULL;
}

const char *eddy_header_of(const eddy_event *event, const char *name) {
    for (size_t n = 0; n < event->header_count; n++)
        if (strcmp(event->headers[n].name, name) == 0)
            return event->headers[n].value;
    return NULL;
}

static eddy_outcome outcome(uint32_t kind, const char *reason, uint32_t delay_ms) {
    /* A reason may be in a buffer of the handler, which is gone when it is read. */
    const char *kept = reason ? eddyline_copy(reason, strlen(reason)) : "";
    return (eddy_outcome){.kind = kind, .delay_ms = delay_ms, .reason = kept};
}

eddy_outcome eddy_ack(void) { return outcome(ACK, NULL, 0); }
eddy_outcome eddy_drop(const char *reason) { return outcome(DROP, reason, 0); }
eddy_outcome eddy_reject(const char *reason) { return outcome(REJECT, reason, 0); }
eddy_outcome eddy_halt(const char *reason) { return outcome(HALT, reason, 0); }

eddy_outcome eddy_retry(const char *reason, uint32_t delay_ms) {
    return outcome(RETRY, reason, delay_ms);
}

eddy_outcome eddy_pass(const eddy_event *event) {
    eddy_emit((eddy_emission){
        .headers = event->headers,
        .header_count = event->header_count,
        .data = event->data,
        .size = event->size,
    });
    return eddy_ack();
}

void *eddy_alloc(size_t size) { return eddyline_room(size); }

const char *eddy_format(const char *format, ...) {
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (length < 0)
        eddyline_fail("eddy_format: the format is wrong");
    char *text = eddyline_room((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
