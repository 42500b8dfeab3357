/* A gate that lets short messages pass, in capitals. */
#include "eddyline/eddyline.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static size_t bytes_max = 280;

/* Called once for each instance, before the first event. */
const char *eddy_setup(void) {
    const char *given = eddy_setting("bytes_max");
    if (!given)
        return NULL;
    char *end;
    bytes_max = strtoul(given, &end, 10);
    return *given && !*end ? NULL : eddy_format("bytes_max: %s is no number", given);
}

/* Called for each event, in order. */
eddy_outcome eddy_handle(const eddy_event *event) {
    if (!event->is_text)
        return eddy_reject("not text");
    if (event->size > bytes_max)
        return eddy_reject(eddy_format("over %zu bytes", bytes_max));
    printf("%zu bytes on %s\n", event->size, event->channel);

    char *loud = eddy_alloc(event->size);
    for (size_t n = 0; n < event->size; n++)
        loud[n] = (char)toupper((unsigned char)event->data[n]);
    eddy_emit((eddy_emission){
        .data = loud,
        .size = event->size,
        .headers = event->headers,
        .header_count = event->header_count,
    });
    return eddy_ack();
}
