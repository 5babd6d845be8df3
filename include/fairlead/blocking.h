/* blocking.h - calls for threads that would rather wait than be called back.
 *
 * From any thread but the one that runs the channel's loop, which would wait for itself: there
 * everything here is FL_EUSAGE. */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/request.h>

FL_C_BEGIN

/* How a call ended: a copy of one's own, until fl_answer_deinit. */
struct fl_answer {
    struct fl_call_result result; /* what it points to lies in the rest */
    struct fl_error why;
    void *memory;
};

/* Makes a unary call and waits for its end: 0 and *out, whatever the status. As fl_call_unary, and
 * FL_EUSAGE on the loop's thread; FL_ENOMEM also if the answer could not be kept. */
FL_API FL_MUST int fl_call_wait(struct fl_channel *channel, const char *method, const void *request,
                                size_t len, const struct fl_call_options *options,
                                struct fl_answer *out, struct fl_error *err);
FL_API void fl_answer_deinit(struct fl_answer *answer); /* a zeroed one is allowed */

/* What came of a request: a copy of one's own, until fl_request_answer_deinit. */
struct fl_request_answer {
    struct fl_response response; /* what it points to lies in the rest */
    struct fl_error why;
    void *memory;
};

/* Makes a plain HTTP request and waits for its end: 0 and *out, whatever it is. As
 * fl_request_start, and FL_EUSAGE on the loop's thread; FL_ENOMEM also if the answer could not be
 * kept. */
FL_API FL_MUST int fl_request_wait(struct fl_channel *channel, const struct fl_request *request,
                                   const struct fl_request_options *options,
                                   struct fl_request_answer *out, struct fl_error *err);
FL_API void
fl_request_answer_deinit(struct fl_request_answer *answer); /* a zeroed one is allowed */

/* A streaming call. One thread may send while another receives; it is freed by one when neither
 * does. */
struct fl_stream;

/* Errors as fl_call_start, and FL_EUSAGE on the loop's thread. */
FL_API FL_MUST int fl_stream_open(struct fl_channel *channel, const char *method,
                                  const struct fl_call_options *options, struct fl_stream **out,
                                  struct fl_error *err);
/* Sends a message, copied; waits while much is queued. FL_ENOMEM, FL_EUSAGE; FL_ESHUTDOWN: after
 * fl_stream_send_end, or the call has ended: fl_stream_answer says how. */
FL_API FL_MUST int fl_stream_send(struct fl_stream *stream, const void *message, size_t len);
FL_API void fl_stream_send_end(struct fl_stream *stream); /* half-close. Twice is allowed */
/* Waits for the next message: 1 and the message, borrowed until the next receive; 0: the call has
 * ended and everything was received; FL_EUSAGE. */
FL_API FL_MUST int fl_stream_receive(struct fl_stream *stream, const void **bytes, size_t *len);
/* How the call ended, borrowed until the stream is freed; NULL before fl_stream_receive gave 0. */
FL_API const struct fl_answer *fl_stream_answer(const struct fl_stream *stream);
/* Ends the call if it runs, and waits for that. NULL is allowed. */
FL_API void fl_stream_free(struct fl_stream *stream);

FL_C_END

#endif
